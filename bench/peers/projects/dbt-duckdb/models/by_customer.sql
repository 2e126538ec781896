{{ config(materialized='external', location='out/by_customer.csv', format='csv', options={'header': true}) }}
SELECT customer, count(*) AS orders, sum(amount) AS total FROM {{ ref('orders') }} GROUP BY customer ORDER BY customer

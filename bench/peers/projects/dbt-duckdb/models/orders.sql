{{ config(materialized='view') }}
SELECT * FROM read_csv('data/orders.csv')

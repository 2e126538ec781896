CREATE TABLE orders (
    id bigint PRIMARY KEY,
    customer text NOT NULL,
    amount numeric(12, 2) NOT NULL,
    ordered_at timestamptz NOT NULL
);
INSERT INTO orders VALUES
    (9007199254740993, '00501', 19.90, '2026-03-01 10:00:00+01'),
    (9007199254740994, '00501', 0.10, '2026-03-02 11:30:00+01'),
    (9007199254740995, '00777', 5.55, '2026-03-02 12:00:00+01');
CREATE TABLE customer_totals (
    customer text PRIMARY KEY,
    orders integer NOT NULL,
    total numeric(14, 2) NOT NULL,
    last_ordered_at timestamptz NOT NULL
);

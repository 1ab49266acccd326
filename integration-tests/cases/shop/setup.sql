-- The shop: what every case file of this folder begins with.
-- Rows of sharded tables go in one shard at a time; rows of reference tables are put on each server.

-- case: tables
-- pgring: SHARD TABLE customers BY (customer_id)
-- pgring: SHARD TABLE orders BY (customer_id)
-- pgring: SHARD TABLE order_items BY (customer_id)
-- pgring: REFERENCE TABLE products
CREATE TABLE customers (
  customer_id bigint PRIMARY KEY,
  name text NOT NULL,
  city text,
  credit numeric(10,2),
  score integer,
  rating double precision,
  joined date NOT NULL,
  active boolean NOT NULL
);
CREATE TABLE products (
  product_id integer PRIMARY KEY,
  title text NOT NULL,
  price numeric(10,2) NOT NULL
);
CREATE TABLE orders (
  customer_id bigint NOT NULL REFERENCES customers,
  order_id bigint NOT NULL,
  status text NOT NULL CHECK (status IN ('open', 'paid', 'sent')),
  total numeric(12,2),
  placed timestamptz NOT NULL,
  PRIMARY KEY (customer_id, order_id)
);
CREATE TABLE order_items (
  customer_id bigint NOT NULL,
  order_id bigint NOT NULL,
  line smallint NOT NULL,
  product_id integer NOT NULL REFERENCES products,
  quantity integer NOT NULL,
  PRIMARY KEY (customer_id, order_id, line),
  FOREIGN KEY (customer_id, order_id) REFERENCES orders
);
CREATE TABLE settings (
  name text PRIMARY KEY,
  value text
);
CREATE INDEX orders_placed ON orders (placed);

-- case: reference rows
-- servers: INSERT INTO products VALUES (1, 'anvil', 99.00), (2, 'balloon', 0.50), (3, 'candle', 3.25), (4, 'drum', 120.00), (5, 'eraser', 1.00), (6, 'flute', 310.75)

-- case: local rows
INSERT INTO settings VALUES ('currency', 'EUR'), ('theme', NULL), ('limit', '10');

-- case: customers
INSERT INTO customers VALUES (1, 'Ada Lovelace', 'Paris', 137.31, 7, 0.25, '2011-02-11', true);
INSERT INTO customers VALUES (2, 'alan turing', NULL, 274.62, 4, 0.5, '2012-03-12', true);
INSERT INTO customers VALUES (3, 'Émile Zola', 'Łódź', 411.93, 1, 0.75, '2013-04-13', false);
INSERT INTO customers VALUES (4, 'Zoë Quinn', 'berlin', 548.24, 8, 1.0, '2014-05-14', true);
INSERT INTO customers VALUES (5, 'Bob', 'Zürich', 685.55, NULL, 1.25, '2015-06-15', true);
INSERT INTO customers VALUES (6, 'bob', 'Oslo', NULL, 2, 1.5, '2016-07-16', false);
INSERT INTO customers VALUES (7, 'Åse Berg', 'Berlin', 959.17, 9, 1.75, '2017-08-17', true);
INSERT INTO customers VALUES (8, 'O''Neill', 'Paris', 96.48, 6, 2.0, '2018-09-18', true);
INSERT INTO customers VALUES (9, 'Chen Wei', NULL, 233.79, 3, 2.25, '2019-01-19', false);
INSERT INTO customers VALUES (10, 'Grace Hopper', 'Łódź', 370.10, NULL, 2.5, '2010-02-10', true);
INSERT INTO customers VALUES (11, 'edsger dijkstra', 'berlin', 507.41, 7, 2.75, '2011-03-11', true);
INSERT INTO customers VALUES (12, 'Ángela Ruiz', 'Zürich', NULL, 4, 3.0, '2012-04-12', false);
INSERT INTO customers VALUES (13, 'Barbara Liskov', 'Oslo', 781.03, 1, 3.25, '2013-05-13', true);
INSERT INTO customers VALUES (14, 'Donald Knuth', 'Berlin', 918.34, 8, 3.5, '2014-06-14', true);
INSERT INTO customers VALUES (15, 'Frances Allen', 'Paris', 55.65, NULL, 3.75, '2015-07-15', false);
INSERT INTO customers VALUES (16, 'Margaret Hamilton', NULL, 192.96, 2, 4.0, '2016-08-16', true);
INSERT INTO customers VALUES (17, 'john mccarthy', 'Łódź', 329.27, 9, 4.25, '2017-09-17', true);
INSERT INTO customers VALUES (18, 'Katherine Johnson', 'berlin', NULL, 6, 4.5, '2018-01-18', false);
INSERT INTO customers VALUES (19, 'Niklaus Wirth', 'Zürich', 603.89, 3, 4.75, '2019-02-19', true);
INSERT INTO customers VALUES (20, 'Radia Perlman', 'Oslo', 740.20, NULL, 5.0, '2010-03-10', true);
INSERT INTO customers VALUES (21, 'Tony Hoare', 'Berlin', 877.51, 7, 5.25, '2011-04-11', false);
INSERT INTO customers VALUES (22, 'Vint Cerf', 'Paris', 14.82, 4, 5.5, '2012-05-12', true);
INSERT INTO customers VALUES (23, 'Shafi Goldwasser', NULL, 151.13, 1, 5.75, '2013-06-13', true);
INSERT INTO customers VALUES (24, 'Ken Thompson', 'Łódź', NULL, 8, 6.0, '2014-07-14', false);

-- case: orders of one customer at a time
INSERT INTO orders VALUES
  (1, 1, 'paid', 53.17, '2024-02-04 01:00:00+00'),
  (1, 2, 'sent', 106.34, '2024-03-07 02:00:00+00');
INSERT INTO orders VALUES
  (2, 3, 'open', 159.51, '2024-04-10 03:00:00+00'),
  (2, 4, 'paid', 212.68, '2024-05-13 04:00:00+00'),
  (2, 5, 'sent', 265.85, '2024-06-16 05:00:00+00');
INSERT INTO orders VALUES
  (3, 6, 'open', 318.02, '2024-07-19 06:00:00+00'),
  (3, 7, 'paid', 371.19, '2024-08-22 07:00:00+00'),
  (3, 8, 'sent', 24.36, '2024-09-25 08:00:00+00'),
  (3, 9, 'open', NULL, '2024-10-28 09:00:00+00');
INSERT INTO orders VALUES
  (4, 10, 'paid', 130.70, '2024-11-03 10:00:00+00');
INSERT INTO orders VALUES
  (5, 11, 'sent', 183.87, '2024-12-06 11:00:00+00'),
  (5, 12, 'open', 236.04, '2024-01-09 12:00:00+00');
INSERT INTO orders VALUES
  (6, 13, 'paid', 289.21, '2024-02-12 13:00:00+00'),
  (6, 14, 'sent', 342.38, '2024-03-15 14:00:00+00'),
  (6, 15, 'open', 395.55, '2024-04-18 15:00:00+00');
INSERT INTO orders VALUES
  (7, 16, 'paid', 48.72, '2024-05-21 16:00:00+00'),
  (7, 17, 'sent', 101.89, '2024-06-24 17:00:00+00'),
  (7, 18, 'open', NULL, '2024-07-27 18:00:00+00'),
  (7, 19, 'paid', 207.23, '2024-08-02 19:00:00+00');
INSERT INTO orders VALUES
  (9, 20, 'sent', 260.40, '2024-09-05 20:00:00+00'),
  (9, 21, 'open', 313.57, '2024-10-08 21:00:00+00');
INSERT INTO orders VALUES
  (10, 22, 'paid', 366.74, '2024-11-11 22:00:00+00'),
  (10, 23, 'sent', 19.91, '2024-12-14 23:00:00+00'),
  (10, 24, 'open', 72.08, '2024-01-17 00:00:00+00');
INSERT INTO orders VALUES
  (11, 25, 'paid', 125.25, '2024-02-20 01:00:00+00'),
  (11, 26, 'sent', 178.42, '2024-03-23 02:00:00+00'),
  (11, 27, 'open', NULL, '2024-04-26 03:00:00+00'),
  (11, 28, 'paid', 284.76, '2024-05-01 04:00:00+00');
INSERT INTO orders VALUES
  (12, 29, 'sent', 337.93, '2024-06-04 05:00:00+00');
INSERT INTO orders VALUES
  (13, 30, 'open', 390.10, '2024-07-07 06:00:00+00'),
  (13, 31, 'paid', 43.27, '2024-08-10 07:00:00+00');
INSERT INTO orders VALUES
  (14, 32, 'sent', 96.44, '2024-09-13 08:00:00+00'),
  (14, 33, 'open', 149.61, '2024-10-16 09:00:00+00'),
  (14, 34, 'paid', 202.78, '2024-11-19 10:00:00+00');
INSERT INTO orders VALUES
  (15, 35, 'sent', 255.95, '2024-12-22 11:00:00+00'),
  (15, 36, 'open', NULL, '2024-01-25 12:00:00+00'),
  (15, 37, 'paid', 361.29, '2024-02-28 13:00:00+00'),
  (15, 38, 'sent', 14.46, '2024-03-03 14:00:00+00');
INSERT INTO orders VALUES
  (17, 39, 'open', 67.63, '2024-04-06 15:00:00+00'),
  (17, 40, 'paid', 120.80, '2024-05-09 16:00:00+00');
INSERT INTO orders VALUES
  (18, 41, 'sent', 173.97, '2024-06-12 17:00:00+00'),
  (18, 42, 'open', 226.14, '2024-07-15 18:00:00+00'),
  (18, 43, 'paid', 279.31, '2024-08-18 19:00:00+00');
INSERT INTO orders VALUES
  (19, 44, 'sent', 332.48, '2024-09-21 20:00:00+00'),
  (19, 45, 'open', NULL, '2024-10-24 21:00:00+00'),
  (19, 46, 'paid', 38.82, '2024-11-27 22:00:00+00'),
  (19, 47, 'sent', 91.99, '2024-12-02 23:00:00+00');
INSERT INTO orders VALUES
  (20, 48, 'open', 144.16, '2024-01-05 00:00:00+00');
INSERT INTO orders VALUES
  (21, 49, 'paid', 197.33, '2024-02-08 01:00:00+00'),
  (21, 50, 'sent', 250.50, '2024-03-11 02:00:00+00');
INSERT INTO orders VALUES
  (22, 51, 'open', 303.67, '2024-04-14 03:00:00+00'),
  (22, 52, 'paid', 356.84, '2024-05-17 04:00:00+00'),
  (22, 53, 'sent', 9.01, '2024-06-20 05:00:00+00');
INSERT INTO orders VALUES
  (23, 54, 'open', NULL, '2024-07-23 06:00:00+00'),
  (23, 55, 'paid', 115.35, '2024-08-26 07:00:00+00'),
  (23, 56, 'sent', 168.52, '2024-09-01 08:00:00+00'),
  (23, 57, 'open', 221.69, '2024-10-04 09:00:00+00');

-- case: items of one customer at a time
INSERT INTO order_items VALUES
  (1, 1, 1, 2, 3),
  (1, 1, 2, 3, 4),
  (1, 2, 1, 3, 4),
  (1, 2, 2, 5, 5),
  (1, 2, 3, 1, 1);
INSERT INTO order_items VALUES
  (2, 3, 1, 4, 5),
  (2, 4, 1, 5, 1),
  (2, 4, 2, 3, 2),
  (2, 5, 1, 6, 2),
  (2, 5, 2, 5, 3),
  (2, 5, 3, 4, 4);
INSERT INTO order_items VALUES
  (3, 6, 1, 1, 3),
  (3, 7, 1, 2, 4),
  (3, 7, 2, 3, 5),
  (3, 8, 1, 3, 5),
  (3, 8, 2, 5, 1),
  (3, 8, 3, 1, 2),
  (3, 9, 1, 4, 1);
INSERT INTO order_items VALUES
  (4, 10, 1, 5, 2),
  (4, 10, 2, 3, 3);
INSERT INTO order_items VALUES
  (5, 11, 1, 6, 3),
  (5, 11, 2, 5, 4),
  (5, 11, 3, 4, 5),
  (5, 12, 1, 1, 4);
INSERT INTO order_items VALUES
  (6, 13, 1, 2, 5),
  (6, 13, 2, 3, 1),
  (6, 14, 1, 3, 1),
  (6, 14, 2, 5, 2),
  (6, 14, 3, 1, 3),
  (6, 15, 1, 4, 2);
INSERT INTO order_items VALUES
  (7, 16, 1, 5, 3),
  (7, 16, 2, 3, 4),
  (7, 17, 1, 6, 4),
  (7, 17, 2, 5, 5),
  (7, 17, 3, 4, 1),
  (7, 18, 1, 1, 5),
  (7, 19, 1, 2, 1),
  (7, 19, 2, 3, 2);
INSERT INTO order_items VALUES
  (9, 20, 1, 3, 2),
  (9, 20, 2, 5, 3),
  (9, 20, 3, 1, 4),
  (9, 21, 1, 4, 3);
INSERT INTO order_items VALUES
  (10, 22, 1, 5, 4),
  (10, 22, 2, 3, 5),
  (10, 23, 1, 6, 5),
  (10, 23, 2, 5, 1),
  (10, 23, 3, 4, 2),
  (10, 24, 1, 1, 1);
INSERT INTO order_items VALUES
  (11, 25, 1, 2, 2),
  (11, 25, 2, 3, 3),
  (11, 26, 1, 3, 3),
  (11, 26, 2, 5, 4),
  (11, 26, 3, 1, 5),
  (11, 27, 1, 4, 4),
  (11, 28, 1, 5, 5),
  (11, 28, 2, 3, 1);
INSERT INTO order_items VALUES
  (12, 29, 1, 6, 1),
  (12, 29, 2, 5, 2),
  (12, 29, 3, 4, 3);
INSERT INTO order_items VALUES
  (13, 30, 1, 1, 2),
  (13, 31, 1, 2, 3),
  (13, 31, 2, 3, 4);
INSERT INTO order_items VALUES
  (14, 32, 1, 3, 4),
  (14, 32, 2, 5, 5),
  (14, 32, 3, 1, 1),
  (14, 33, 1, 4, 5),
  (14, 34, 1, 5, 1),
  (14, 34, 2, 3, 2);
INSERT INTO order_items VALUES
  (15, 35, 1, 6, 2),
  (15, 35, 2, 5, 3),
  (15, 35, 3, 4, 4),
  (15, 36, 1, 1, 3),
  (15, 37, 1, 2, 4),
  (15, 37, 2, 3, 5),
  (15, 38, 1, 3, 5),
  (15, 38, 2, 5, 1),
  (15, 38, 3, 1, 2);
INSERT INTO order_items VALUES
  (17, 39, 1, 4, 1),
  (17, 40, 1, 5, 2),
  (17, 40, 2, 3, 3);
INSERT INTO order_items VALUES
  (18, 41, 1, 6, 3),
  (18, 41, 2, 5, 4),
  (18, 41, 3, 4, 5),
  (18, 42, 1, 1, 4),
  (18, 43, 1, 2, 5),
  (18, 43, 2, 3, 1);
INSERT INTO order_items VALUES
  (19, 44, 1, 3, 1),
  (19, 44, 2, 5, 2),
  (19, 44, 3, 1, 3),
  (19, 45, 1, 4, 2),
  (19, 46, 1, 5, 3),
  (19, 46, 2, 3, 4),
  (19, 47, 1, 6, 4),
  (19, 47, 2, 5, 5),
  (19, 47, 3, 4, 1);
INSERT INTO order_items VALUES
  (20, 48, 1, 1, 5);
INSERT INTO order_items VALUES
  (21, 49, 1, 2, 1),
  (21, 49, 2, 3, 2),
  (21, 50, 1, 3, 2),
  (21, 50, 2, 5, 3),
  (21, 50, 3, 1, 4);
INSERT INTO order_items VALUES
  (22, 51, 1, 4, 3),
  (22, 52, 1, 5, 4),
  (22, 52, 2, 3, 5),
  (22, 53, 1, 6, 5),
  (22, 53, 2, 5, 1),
  (22, 53, 3, 4, 2);
INSERT INTO order_items VALUES
  (23, 54, 1, 1, 1),
  (23, 55, 1, 2, 2),
  (23, 55, 2, 3, 3),
  (23, 56, 1, 3, 3),
  (23, 56, 2, 5, 4),
  (23, 56, 3, 1, 5),
  (23, 57, 1, 4, 4);

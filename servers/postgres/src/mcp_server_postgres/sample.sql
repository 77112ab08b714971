-- A small invented shop, loaded once into the database `sample`; public domain.
-- PostgreSQL's single-user mode reads it: end each statement with a semicolon and an empty line.

create type order_status as enum ('pending', 'paid', 'shipped', 'cancelled');

create table customers (
    id integer primary key,
    name text not null,
    email text not null unique,
    city text not null,
    preferences jsonb not null default '{}',
    created_at timestamptz not null
);

create table products (
    id integer primary key,
    sku text not null unique,
    name text not null,
    category text not null,
    price numeric(10, 2) not null check (price > 0),
    attributes jsonb not null default '{}'
);

create table orders (
    id integer primary key,
    customer_id integer not null references customers,
    status order_status not null,
    ordered_at timestamptz not null,
    note text
);

create table order_items (
    order_id integer not null references orders,
    product_id integer not null references products,
    quantity integer not null check (quantity > 0),
    unit_price numeric(10, 2) not null,
    primary key (order_id, product_id)
);

create index orders_customer_ordered_at on orders (customer_id, ordered_at desc);

insert into customers
select
    n,
    (array['Ada', 'Björn', 'Chloé', 'Dmitri', 'Eun-ji', 'Fatima', 'Goran', 'Hana'])[1 + n % 8]
        || ' ' || (array['Novák', 'Okafor', 'Pérez', 'Quist', 'Rossi'])[1 + n % 5],
    'customer' || n || '@shop.example',
    (array['Lisbon', 'Łódź', 'Nairobi', 'Osaka', 'Reykjavík', 'São Paulo'])[1 + n % 6],
    jsonb_build_object('newsletter', n % 3 = 0, 'language', (array['en', 'pl', 'pt', 'ja'])[1 + n % 4]),
    timestamptz '2024-01-01 09:00+00' + n * interval '31 hours'
from generate_series(1, 60) as n;

insert into customers values
    (61, '山田 花子 🌸', 'hanako@shop.example', '京都', '{"newsletter": true, "language": "ja"}', '2024-04-01 00:30+00');

insert into products
select
    n,
    'SKU-' || lpad(n::text, 4, '0'),
    (array['Oak', 'Linen', 'Copper', 'Paper', 'Wool', 'Clay'])[1 + n % 6]
        || ' ' || (array['lamp', 'notebook', 'kettle', 'blanket'])[1 + n % 4],
    (array['lighting', 'stationery', 'kitchen', 'home'])[1 + n % 4],
    round(4.90 + n * n * 0.35, 2),
    jsonb_build_object('weight_g', 120 + n * 35, 'tags', jsonb_build_array('handmade', 'batch-' || n % 3))
from generate_series(1, 24) as n;

insert into orders
select
    n,
    1 + (n * 7) % 61,
    (array['paid', 'shipped', 'shipped', 'pending', 'shipped', 'cancelled'])[1 + n % 6]::order_status,
    timestamptz '2024-04-02 08:00+00' + n * interval '37 hours',
    case when n % 10 = 0 then 'Please ring twice – Türklingel defekt' end
from generate_series(1, 240) as n;

insert into order_items
select o.id, p.id, 1 + (o.id + item) % 3, p.price
from orders as o
cross join generate_series(0, 2) as item
join products as p on p.id = 1 + (o.id * 5 + item * 7) % 24
where item <= o.id % 3;

create view order_totals as
select o.id as order_id, c.name as customer, o.status, o.ordered_at, sum(i.quantity * i.unit_price) as total
from orders as o
join customers as c on c.id = o.customer_id
join order_items as i on i.order_id = o.id
group by o.id, c.name;

comment on table customers is 'People who have an account in the shop.';
comment on column customers.preferences is 'JSON object: newsletter (boolean) and language (two letters).';
comment on table products is 'What the shop sells.';
comment on column products.price is 'Current price in euros, tax included.';
comment on table orders is 'One row for each order; its lines are in order_items.';
comment on column orders.note is 'What the customer wrote for the courier, if anything.';
comment on table order_items is 'The lines of an order.';
comment on column order_items.unit_price is 'Price in euros when the order was placed.';
comment on view order_totals is 'Each order with its customer and its total in euros.';

-- The role that the server logs in as may read and nothing else, whatever SQL it is given.
create role reader login connection limit 20;

alter role reader set default_transaction_read_only = on;

revoke all on database sample from public;

revoke create on schema public from public;

grant connect on database sample to reader;

grant usage on schema public to reader;

grant select on all tables in schema public to reader;

alter default privileges in schema public grant select on tables to reader;

analyze;

create table customers (id bigint generated always as identity primary key, name text not null, joined timestamptz not null default now());
create table orders (
    id bigint generated always as identity primary key,
    customer_id bigint not null references customers,
    total numeric(12, 2) not null,
    state text not null default 'new',
    placed timestamptz not null default now()
);
insert into customers (name) select 'customer ' || n from generate_series(1, 10000) n;
insert into orders (customer_id, total) select 1 + n % 10000, (n % 9973)::numeric / 7 from generate_series(1, 200000) n;

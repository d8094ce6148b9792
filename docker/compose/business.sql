\set customer random(1, 10000)
\set total random(1, 100000)
\set known random(1, 200000)
begin;
insert into orders (customer_id, total) values (:customer, :total / 100.0);
update orders set state = 'paid' where id = :known;
delete from orders where id = :known - 1 and state = 'paid';
end;

-- One row for each log. An owner is whoever opened it last: appends name the owner that they come
-- from, so that one who was replaced writes nothing.
create table log (
    log_id bigint generated always as identity primary key,
    name text collate "C" not null,
    epoch bigint not null,
    owner bigint not null,
    instance bigint,
    start_offset bigint not null default 0,
    end_offset bigint not null default 0,
    is_deleted boolean not null default false
) with (fillfactor = 50);

create unique index log_name on log (name) where not is_deleted;

create sequence ownership;
create sequence instance as integer cycle;

-- The extents of a log: what retention frees and compaction rewrites at a time.
create table segment (
    log_id bigint not null,
    base_offset bigint not null,
    next_offset bigint not null,
    size_bytes bigint not null,
    first_timestamp_ms bigint not null,
    max_timestamp_ms bigint not null,
    primary key (log_id, base_offset)
) with (fillfactor = 50);

-- Whole batches, one behind the other: what was appended to a log in one round of group commit.
-- They are compressed already where the producer wanted it, so that PostgreSQL does not try.
create table chunk (
    log_id bigint not null,
    base_offset bigint not null,
    next_offset bigint not null,
    max_timestamp_ms bigint not null,
    data bytea not null,
    primary key (log_id, base_offset)
) partition by hash (log_id);

do $$
begin
    for remainder in 0..7 loop
        execute format(
            'create table chunk_%1$s partition of chunk for values with (modulus 8, remainder %1$s)'
            ' with (autovacuum_vacuum_scale_factor = 0.05,'
            ' toast.autovacuum_vacuum_scale_factor = 0.05)',
            remainder
        );
        execute format('alter table chunk_%s alter column data set storage external', remainder);
    end loop;
end
$$;

-- What compaction writes, until it takes the place of what it was made from.
create table replacement (
    log_id bigint not null,
    base_offset bigint not null,
    next_offset bigint not null,
    max_timestamp_ms bigint not null,
    data bytea not null,
    primary key (log_id, base_offset)
);
alter table replacement alter column data set storage external;

-- The last summary of a log, of everything before an offset.
create table snapshot (
    log_id bigint primary key,
    next_offset bigint not null,
    data bytea not null
);

"""The SQL behind `check_health`: each query returns severity, object, what is wrong, and SQL for a person to run.

Sizes and ages below which nothing is worth a person's time are in the queries, but for $1, where there is one.
"""

# Rows and bytes as the statistics have them against what the table takes on disk; what a role may not read is left out.
BLOAT = r"""
with widths as (
  select schemaname, tablename, sum((1 - null_frac) * avg_width) as width
  from pg_catalog.pg_stats where not inherited group by schemaname, tablename
), tables as (
  select n.nspname, c.relname, c.oid, pg_catalog.pg_relation_size(c.oid) as bytes,
    -- 28 bytes of header and pointer a row, a quarter of an alignment a column, fillfactor, 24 bytes a page
    (c.reltuples * (28 + w.width + 2 * c.relnatts)
      / (coalesce((select substring(o from 'fillfactor=(\d+)')::numeric from pg_catalog.unnest(c.reloptions) o
          where o like 'fillfactor=%'), 100) / 100) * 8192 / 8168)::bigint as needed
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join widths w on w.schemaname = n.nspname and w.tablename = c.relname
  where c.relkind in ('r', 'm') and c.reltuples > 0 and n.nspname not in ('pg_catalog', 'information_schema')
  and n.nspname !~ '^pg_(toast|temp)'
)
select case when bytes - needed > 1073741824 then 'warning' else 'info' end,
  pg_catalog.format('%I.%I', nspname, relname),
  pg_catalog.format('about %s of %s hold no live rows', pg_catalog.pg_size_pretty(bytes - needed),
    pg_catalog.pg_size_pretty(bytes)),
  pg_catalog.format('VACUUM (ANALYZE) %I.%I; -- makes the space usable again; VACUUM FULL or pg_repack returns it',
    nspname, relname)
from tables where bytes - needed > 8388608 and needed < bytes * 0.6
order by bytes - needed desc limit 50
"""

# B-trees of plain columns: what entries need (8 bytes of header, 4 of pointer, alignment, fillfactor) against what they
# take. Equal keys may share an entry, so that the need is overstated: no false alarm comes of that.
INDEX_BLOAT = r"""
with entries as (
  select i.indexrelid, c.reltuples, c.reloptions,
    sum((1 - s.null_frac) * s.avg_width) + 4 * count(*) + 12 as width
  from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
  join pg_catalog.pg_am m on m.oid = c.relam and m.amname = 'btree'
  join pg_catalog.pg_class t on t.oid = i.indrelid join pg_catalog.pg_namespace n on n.oid = t.relnamespace
  join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
  join pg_catalog.pg_stats s on s.schemaname = n.nspname and s.tablename = t.relname and s.attname = a.attname
    and not s.inherited
  where i.indexprs is null and c.reltuples >= 0 and n.nspname not in ('pg_catalog', 'information_schema')
    and n.nspname !~ '^pg_(toast|temp)'
  group by i.indexrelid, c.reltuples, c.reloptions, i.indnatts
  having count(*) = i.indnatts
), indexes as (
  select n.nspname, c.relname, pg_catalog.pg_relation_size(c.oid) as bytes,
    (e.reltuples * e.width / coalesce((select substring(o from 'fillfactor=(\d+)')::numeric
      from pg_catalog.unnest(e.reloptions) o where o like 'fillfactor=%'), 90) * 100)::bigint as needed
  from entries e join pg_catalog.pg_class c on c.oid = e.indexrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
)
select case when bytes - needed > 1073741824 then 'warning' else 'info' end,
  pg_catalog.format('%I.%I', nspname, relname),
  pg_catalog.format('about %s of %s of the index hold no live entries', pg_catalog.pg_size_pretty(bytes - needed),
    pg_catalog.pg_size_pretty(bytes)),
  pg_catalog.format('REINDEX INDEX CONCURRENTLY %I.%I;', nspname, relname)
from indexes where bytes - needed > 8388608 and needed < bytes * 0.5
order by bytes - needed desc limit 50
"""

INVALID_INDEXES = """
select 'warning', pg_catalog.format('%I.%I', n.nspname, c.relname),
  pg_catalog.format('invalid index on %I: writes pay for it, no query uses it', t.relname),
  pg_catalog.format('REINDEX INDEX CONCURRENTLY %I.%I; -- or DROP INDEX CONCURRENTLY', n.nspname, c.relname)
from pg_catalog.pg_index i
join pg_catalog.pg_class c on c.oid = i.indexrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_class t on t.oid = i.indrelid
where not i.indisvalid and c.relkind = 'i' and n.nspname not in ('pg_catalog', 'information_schema')
  and n.nspname !~ '^pg_(toast|temp)'
  and not exists (select from pg_catalog.pg_stat_progress_create_index p where p.index_relid = i.indexrelid)
order by 2 limit 50
"""

# Of two equal indexes the one that no constraint needs is to go; an index that begins another is as good as equal.
DUPLICATE_INDEXES = """
with indexes as (
  select i.*, n.nspname, c.relname, c.relam, t.relname as table_name,
    i.indkey::text || ' ' as keys, i.indclass::text || ' ' as classes, i.indcollation::text || ' ' as collations,
    i.indoption::text || ' ' as options, pg_catalog.pg_get_expr(i.indpred, i.indrelid) as predicate,
    exists (select from pg_catalog.pg_constraint k where k.conindid = i.indexrelid) as of_constraint
  from pg_catalog.pg_index i
  join pg_catalog.pg_class c on c.oid = i.indexrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_class t on t.oid = i.indrelid
  where i.indisvalid and c.relkind = 'i' and n.nspname not in ('pg_catalog', 'information_schema')
  and n.nspname !~ '^pg_(toast|temp)'
), pairs as (
  select a.*, b.relname as other, a.keys = b.keys and a.indnatts = b.indnatts as equal
  from indexes a join indexes b on b.indrelid = a.indrelid and b.indexrelid <> a.indexrelid and b.relam = a.relam
    and b.predicate is not distinct from a.predicate
    and not a.of_constraint and not a.indisreplident
    and case when a.keys = b.keys and a.indnatts = b.indnatts
      then a.classes = b.classes and a.collations = b.collations and a.options = b.options
        and pg_catalog.pg_get_expr(a.indexprs, a.indrelid) is not distinct from
          pg_catalog.pg_get_expr(b.indexprs, b.indrelid)
        and case when b.of_constraint or b.indisunique and not a.indisunique then true
          when a.indisunique and not b.indisunique then false else a.indexrelid > b.indexrelid end
      else a.relam = (select oid from pg_catalog.pg_am where amname = 'btree') and not a.indisunique
        and a.indexprs is null and b.indexprs is null and a.indnatts = a.indnkeyatts
        and pg_catalog.starts_with(b.keys, a.keys) and pg_catalog.starts_with(b.classes, a.classes)
        and pg_catalog.starts_with(b.collations, a.collations) and pg_catalog.starts_with(b.options, a.options) end
)
select distinct on (indexrelid) case when equal then 'warning' else 'info' end,
  pg_catalog.format('%I.%I', nspname, relname),
  case when equal then pg_catalog.format('the same as %I on %I', other, table_name)
    else pg_catalog.format('the beginning of %I on %I, which serves the same lookups', other, table_name) end
    || ', ' || pg_catalog.pg_size_pretty(pg_catalog.pg_relation_size(indexrelid)),
  pg_catalog.format('DROP INDEX CONCURRENTLY %I.%I;', nspname, relname)
from pairs order by indexrelid, equal desc limit 50
"""

# A table that nobody reads says nothing about its indexes.
UNUSED_INDEXES = """
select 'info', pg_catalog.format('%I.%I', n.nspname, s.indexrelname),
  pg_catalog.format('never used %s while %I was read %s times; %s', coalesce('since ' || d.stats_reset::date, 'so far'),
    s.relname, t.seq_scan + t.idx_scan, pg_catalog.pg_size_pretty(pg_catalog.pg_relation_size(s.indexrelid))),
  pg_catalog.format('DROP INDEX CONCURRENTLY %I.%I; -- after a look at the replicas, which count for themselves',
    n.nspname, s.indexrelname)
from pg_catalog.pg_stat_user_indexes s
join pg_catalog.pg_index i on i.indexrelid = s.indexrelid
join pg_catalog.pg_class c on c.oid = s.indexrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_stat_user_tables t on t.relid = s.relid
join pg_catalog.pg_stat_database d on d.datname = pg_catalog.current_database()
where s.idx_scan = 0 and i.indisvalid and not i.indisunique and not i.indisexclusion and not i.indisreplident
  and pg_catalog.pg_relation_size(s.indexrelid) >= 1048576 and t.seq_scan + t.idx_scan >= 50
  and not exists (select from pg_catalog.pg_constraint k where k.conindid = s.indexrelid)
order by pg_catalog.pg_relation_size(s.indexrelid) desc limit 50
"""

WRAPAROUND = """
with ages as (
  select 'database ' || pg_catalog.quote_ident(datname) as name, 'VACUUM (FREEZE) in it' as fix,
    greatest(pg_catalog.age(datfrozenxid), pg_catalog.mxid_age(datminmxid)) as age
  from pg_catalog.pg_database where datallowconn
  union all
  select pg_catalog.format('%I.%I', n.nspname, c.relname),
    pg_catalog.format('VACUUM (FREEZE) %I.%I;', n.nspname, c.relname),
    greatest(pg_catalog.age(c.relfrozenxid), pg_catalog.mxid_age(c.relminmxid))
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'm') and c.relpersistence <> 't' and n.nspname not in ('pg_catalog', 'information_schema')
  and n.nspname !~ '^pg_(toast|temp)'
)
select case when age > 1500000000 then 'critical' else 'warning' end, name,
  pg_catalog.format('%s million transactions old; at 2,147 million the server stops writing', age / 1000000), fix
from ages
where age > greatest(600000000, 1.5 * pg_catalog.current_setting('autovacuum_freeze_max_age')::bigint)
order by age desc limit 50
"""

# $1: seconds.
LOCKS = """
select case when waiting.s < $1::float8 then 'info' when waiting.s < 300 then 'warning' else 'critical' end,
  'session ' || a.pid,
  pg_catalog.format('waits %s s for %s on %s, held by session %s (%s, %s for %s s)',
    pg_catalog.round(waiting.s), l.mode,
    coalesce(l.relation::regclass::text, l.locktype), b.pid, coalesce(b.usename, 'a background process'),
    coalesce(b.state, 'state hidden'),
    coalesce(pg_catalog.round(extract(epoch from pg_catalog.clock_timestamp() - b.state_change))::text, '?')),
  pg_catalog.format('SELECT pg_cancel_backend(%s); -- pg_terminate_backend if its transaction is idle', b.pid)
from pg_catalog.pg_stat_activity a
cross join pg_catalog.unnest(pg_catalog.pg_blocking_pids(a.pid)) as blocking(pid)
join pg_catalog.pg_stat_activity b on b.pid = blocking.pid
join pg_catalog.pg_locks l on l.pid = a.pid and not l.granted
cross join lateral (
  select coalesce(extract(epoch from pg_catalog.clock_timestamp() - a.state_change), 0)::numeric as s) as waiting
order by waiting.s desc limit 50
"""

# $1: seconds. A session counts from the end of its last statement, or from the start of its transaction.
CONNECTIONS = """
with sessions as (
  select a.*, extract(epoch from pg_catalog.clock_timestamp() - a.state_change) as s,
    extract(epoch from pg_catalog.clock_timestamp() - a.xact_start) as transaction_s
  from pg_catalog.pg_stat_activity a where a.backend_type = 'client backend' and a.pid <> pg_catalog.pg_backend_pid()
), used as (
  select count(*) + 1 as n, pg_catalog.current_setting('max_connections')::int as most from sessions
)
(select case when n >= most * 0.95 then 'critical' else 'warning' end, 'connections',
  pg_catalog.format('%s of %s are in use', n, most), 'Use a connection pool (pgbouncer), or raise max_connections.'
from used where n >= most * 0.8)
union all
(select 'warning', 'session ' || pid,
  pg_catalog.format('%s (%s) is idle in transaction for %s s', usename, application_name, pg_catalog.round(s::numeric)),
  pg_catalog.format('SELECT pg_terminate_backend(%s); -- and set idle_in_transaction_session_timeout', pid)
from sessions where state like 'idle in transaction%' and s >= $1::float8 order by s desc limit 20)
union all
(select 'info', 'session ' || pid,
  pg_catalog.format('%s (%s) runs a transaction for %s s: %s', usename, application_name,
    pg_catalog.round(transaction_s::numeric), pg_catalog.left(query, 200)),
  pg_catalog.format('SELECT pg_cancel_backend(%s);', pid)
from sessions where state = 'active' and transaction_s >= $1::float8 * 5 order by transaction_s desc limit 20)
"""

# $1: how many blocks have to be read before a share of them says anything.
CACHE = """
select case when hit < 0.9 * (hit + read) then 'warning' else 'info' end, 'cache',
  pg_catalog.format('%s %% of table blocks were found in shared_buffers (%s)',
    pg_catalog.round(100 * hit / (hit + read), 1), pg_catalog.current_setting('shared_buffers')),
  'Raise shared_buffers (a quarter of memory is usual), or look at what top_queries sorted by blocks_read reads.'
from (select sum(heap_blks_hit) as hit, sum(heap_blks_read) as read from pg_catalog.pg_statio_user_tables) as blocks
where hit + read >= $1::bigint and hit < 0.95 * (hit + read)
"""

REPLICATION = """
select case when not s.active or s.wal_status in ('unreserved', 'lost') then
    case when s.wal_status = 'lost' or pg_catalog.pg_wal_lsn_diff(here.lsn, s.restart_lsn) > 10737418240
      then 'critical' else 'warning' end else 'info' end,
  'slot ' || s.slot_name,
  pg_catalog.format('%s, keeps %s of WAL (%s)', case when s.active then 'active' else 'inactive' end,
    coalesce(pg_catalog.pg_size_pretty(pg_catalog.pg_wal_lsn_diff(here.lsn, s.restart_lsn)), 'an unknown amount'),
    coalesce(s.wal_status, 'no status')),
  pg_catalog.format('SELECT pg_drop_replication_slot(%L); -- if its consumer is gone for good', s.slot_name)
from pg_catalog.pg_replication_slots s cross join (
  select case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
    else pg_catalog.pg_current_wal_lsn() end as lsn) as here
where not s.active or s.wal_status in ('unreserved', 'lost')
  or pg_catalog.pg_wal_lsn_diff(here.lsn, s.restart_lsn) > 1073741824
union all
select case when r.replay_lag > interval '5 minutes' then 'critical' else 'warning' end,
  'replica ' || r.application_name,
  pg_catalog.format('%s behind, state %s', r.replay_lag, r.state),
  'Look at the replica: its disk, long queries with hot_standby_feedback, the network.'
from pg_catalog.pg_stat_replication r where r.replay_lag > interval '30 seconds'
union all
select 'warning', 'this replica', pg_catalog.format('replayed nothing for %s',
    pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()),
  'Look at the connection to the primary: pg_stat_wal_receiver.'
where pg_catalog.pg_is_in_recovery() and pg_catalog.pg_last_wal_receive_lsn() <> pg_catalog.pg_last_wal_replay_lsn()
  and pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp() > interval '5 minutes'
"""

# A sequence ends where its column ends, if that is sooner.
SEQUENCES = """
with sequences as (
  select s.schemaname, s.sequencename, s.last_value, d.refobjid::regclass::text as table_name, a.attname,
    least(s.max_value, case a.atttypid when 21 then 32767 when 23 then 2147483647 else s.max_value end) as most
  from pg_catalog.pg_sequences s
  join pg_catalog.pg_namespace n on n.nspname = s.schemaname
  join pg_catalog.pg_class c on c.relname = s.sequencename and c.relnamespace = n.oid
  left join pg_catalog.pg_depend d on d.objid = c.oid and d.deptype in ('a', 'i') and d.refobjsubid > 0
    and d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
  left join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
  where s.increment_by > 0 and not s.cycle and s.last_value is not null
    and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
)
select case when last_value >= most * 0.9 then 'critical' else 'warning' end,
  pg_catalog.format('%I.%I', schemaname, sequencename),
  pg_catalog.format('%s %% used: %s of %s', pg_catalog.round(100.0 * last_value / most, 1), last_value, most),
  case when attname is null then pg_catalog.format('ALTER SEQUENCE %I.%I AS bigint;', schemaname, sequencename)
    else pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I TYPE bigint; -- rewrites the table; the sequence too: ALTER '
      'SEQUENCE %I.%I AS bigint', table_name, attname, schemaname, sequencename) end
from sequences where last_value >= most * 0.75 order by last_value::numeric / most desc limit 50
"""

CONSTRAINTS = """
(select 'warning', pg_catalog.format('%I.%I', n.nspname, t.relname),
  pg_catalog.format('constraint %I is not validated: rows from before may break it', k.conname),
  pg_catalog.format('ALTER TABLE %I.%I VALIDATE CONSTRAINT %I;', n.nspname, t.relname, k.conname)
from pg_catalog.pg_constraint k
join pg_catalog.pg_class t on t.oid = k.conrelid join pg_catalog.pg_namespace n on n.oid = t.relnamespace
where not k.convalidated and n.nspname not in ('pg_catalog', 'information_schema')
  and n.nspname !~ '^pg_(toast|temp)' order by 2 limit 50)
union all
(select 'info', pg_catalog.format('%I.%I', n.nspname, c.relname), 'has no primary key',
  pg_catalog.format('ALTER TABLE %I.%I ADD PRIMARY KEY (…);', n.nspname, c.relname)
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema')
  and n.nspname !~ '^pg_(toast|temp)'
  and not exists (select from pg_catalog.pg_constraint k where k.conrelid = c.oid and k.contype = 'p')
  and not exists (select from pg_catalog.pg_depend d where d.objid = c.oid and d.deptype = 'e')
order by 2 limit 50)
"""

STATISTICS = """
select 'warning', pg_catalog.format('%I.%I', schemaname, relname),
  case when last_analyze is null and last_autoanalyze is null
    then pg_catalog.format('never analysed, %s rows', n_live_tup)
    else pg_catalog.format('%s rows changed since it was analysed %s, of %s', n_mod_since_analyze,
      greatest(last_analyze, last_autoanalyze)::timestamp(0), n_live_tup) end,
  pg_catalog.format('ANALYZE %I.%I;', schemaname, relname)
from pg_catalog.pg_stat_user_tables
where n_live_tup + n_mod_since_analyze >= 10000
  and (last_analyze is null and last_autoanalyze is null or n_mod_since_analyze > greatest(n_live_tup * 0.3, 10000))
order by n_mod_since_analyze desc limit 50
"""

# What this role does not see.
HIDDEN = """
select
  (select count(*) from pg_catalog.pg_stat_activity where query = '<insufficient privilege>' and datname is not null),
  (select count(*) from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'm') and not pg_catalog.has_any_column_privilege(c.oid, 'select')
      and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'),
  (select count(*) from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where case c.relkind when 'S' then not pg_catalog.has_sequence_privilege(c.oid, 'select, usage') end
  and n.nspname not in ('pg_catalog', 'information_schema')
  and n.nspname !~ '^pg_(toast|temp)')
"""

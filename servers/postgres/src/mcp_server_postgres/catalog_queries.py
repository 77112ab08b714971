"""The SQL that reads pg_catalog. Each statement returns bounded rows and takes bound parameters only.

pg_catalog rather than information_schema: the latter is slow on big catalogs and hides materialised views.
"""

# $1: OIDs. Those types and what they are made of, each with the type below a domain and the element of a true array.
TYPES = """
with recursive needed(oid) as (
  select pg_catalog.unnest($1::oid[])
  union
  select case when t.typbasetype <> 0 then t.typbasetype else t.typelem end
  from pg_catalog.pg_type t join needed using (oid)
  where t.typbasetype <> 0 or t.typoutput = 'pg_catalog.array_out'::regproc
)
select t.oid, pg_catalog.format_type(t.oid, null), t.typbasetype,
  case when t.typoutput = 'pg_catalog.array_out'::regproc then t.typelem else 0 end, coalesce(e.typdelim, ',')
from needed join pg_catalog.pg_type t using (oid) left join pg_catalog.pg_type e on e.oid = t.typelem
"""

# $1: names. Those among them of functions that may give something else each time.
VOLATILE = """
select distinct p.proname::text from pg_catalog.pg_proc p
where p.proname = any ($1::text[]) and p.provolatile = 'v' and p.prokind = 'f'
"""

# $1: kinds, or null for all but columns. $2: a schema, or null for all but the system's. $3: an ILIKE pattern. $4:
# whether that is for schema.name. $5, $6, $7: the schema, name and kind to continue after, or null. $8: the most rows.
# $9: whether with details.
SEARCH_OBJECTS = """
with schemas as (
  select n.oid, n.nspname::text collate "C" as schema from pg_catalog.pg_namespace n
  where case when $2::text is null
    then n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
    else n.nspname = $2 end
), objects as (
  select s.schema, c.relname::text collate "C" as name, c.oid, 'pg_class' as catalog, null::int2 as attnum,
    case c.relkind when 'r' then 'table' when 'p' then 'partitioned_table' when 'v' then 'view'
      when 'm' then 'materialized_view' when 'f' then 'foreign_table' when 'S' then 'sequence' else 'index' end as kind,
    case when c.relkind in ('r', 'p', 'm', 'f') and c.reltuples >= 0 then c.reltuples::bigint end as estimated_rows
  from schemas s join pg_catalog.pg_class c on c.relnamespace = s.oid
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'i', 'I')
    and ($1::text[] is null or not $1 <@ array['function', 'procedure', 'type', 'column'])
  union all
  select s.schema,
    pg_catalog.format('%s(%s)', p.proname, pg_catalog.oidvectortypes(p.proargtypes)) collate "C",
    p.oid, 'pg_proc', null, case p.prokind when 'p' then 'procedure' else 'function' end, null
  from schemas s join pg_catalog.pg_proc p on p.pronamespace = s.oid
  where $1::text[] is null or $1 && array['function', 'procedure']
  union all
  select s.schema, t.typname::text collate "C", t.oid, 'pg_type', null, 'type', null
  from schemas s join pg_catalog.pg_type t on t.typnamespace = s.oid
  left join pg_catalog.pg_class c on c.oid = t.typrelid
  where ($1::text[] is null or $1 && array['type'])
    and t.typcategory <> 'A' and t.typtype <> 'p' and (t.typrelid = 0 or c.relkind = 'c')
  union all
  select c.schema, (c.relname || '.' || c.attname) collate "C", c.oid, 'pg_class', c.attnum, 'column', null
  from (
    select s.schema, c.relname, c.oid, a.attname, a.attnum
    from schemas s join pg_catalog.pg_class c on c.relnamespace = s.oid
    cross join lateral (
      select a.attname, a.attnum from pg_catalog.pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped offset 0) a
    where $1 && array['column'] and c.relkind in ('r', 'p', 'v', 'm', 'f')
    offset 0) c  -- table by table, and names compared last: most of pg_attribute is of indexes and of the system
  where $4::boolean or c.attname::text collate "default" ilike $3
), page as (
  select * from objects
  where ($1::text[] is null or kind = any ($1))
    and (attnum is not null and not $4::boolean  -- by its own name, above
      or case when $4 then schema || '.' || name else name end collate "default" ilike $3)
    and ($5::text is null or (schema, name, kind) > ($5, $6, $7))
  order by schema, name, kind collate "C"
  limit $8
)
select schema, name, kind, estimated_rows,
  pg_catalog.left(case when attnum is null then pg_catalog.obj_description(oid, catalog)
    else pg_catalog.col_description(oid, attnum) end, 1000),
  case when $9::boolean then case
    when kind = 'index' then pg_catalog.to_json(pg_catalog.pg_get_indexdef(oid))
    when kind = 'column' then (select pg_catalog.to_json(pg_catalog.format_type(a.atttypid, a.atttypmod))
      from pg_catalog.pg_attribute a where a.attrelid = page.oid and a.attnum = page.attnum)
    when catalog = 'pg_class' then (
      select pg_catalog.json_object_agg(a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) order by a.attnum)
      from pg_catalog.pg_attribute a where a.attrelid = page.oid and a.attnum > 0 and not a.attisdropped)
    when kind = 'type' then coalesce(
      (select pg_catalog.json_agg(e.enumlabel order by e.enumsortorder) from pg_catalog.pg_enum e
        where e.enumtypid = page.oid),
      (select pg_catalog.to_json(pg_catalog.format_type(t.typbasetype, t.typtypmod)) from pg_catalog.pg_type t
        where t.oid = page.oid and t.typtype = 'd'),
      (select pg_catalog.json_object_agg(a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) order by a.attnum)
        from pg_catalog.pg_type t join pg_catalog.pg_attribute a on a.attrelid = t.typrelid and a.attnum > 0
        where t.oid = page.oid and not a.attisdropped))
    else (select pg_catalog.json_build_object('arguments', pg_catalog.pg_get_function_arguments(p.oid), 'returns',
        pg_catalog.pg_get_function_result(p.oid), 'language', l.lanname, 'volatility', case p.provolatile
        when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end)
      from pg_catalog.pg_proc p join pg_catalog.pg_language l on l.oid = p.prolang where p.oid = page.oid)
  end end
from page order by schema, name, kind collate "C"
"""

# $1: a schema. $2: a relation. One row with one JSON document, or none: an array of rows for each part that has any.
# The statistics are those of pg_stats, which shows only what the role may read.
DESCRIBE_TABLE = """
select pg_catalog.json_strip_nulls(pg_catalog.json_build_object(
  'table', pg_catalog.json_build_array(pg_catalog.json_build_array(
    case c.relkind when 'r' then 'table' when 'p' then 'partitioned_table' when 'v' then 'view'
      when 'm' then 'materialized_view' else 'foreign_table' end,
    pg_catalog.pg_get_userbyid(c.relowner),
    pg_catalog.left(pg_catalog.obj_description(c.oid, 'pg_class'), 1000),
    case when c.relkind <> 'v' and c.reltuples >= 0 then c.reltuples::bigint end,
    case when c.relkind in ('r', 'm') then pg_catalog.pg_table_size(c.oid) end,
    case when c.relkind in ('r', 'm') then pg_catalog.pg_indexes_size(c.oid) end,
    c.relrowsecurity,
    pg_catalog.pg_get_partkeydef(c.oid),
    (select pg_catalog.format('%I.%I', pn.nspname, p.relname) from pg_catalog.pg_inherits h
      join pg_catalog.pg_class p on p.oid = h.inhparent join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
      where h.inhrelid = c.oid order by h.inhseqno limit 1),
    (select nullif(count(*), 0) from pg_catalog.pg_inherits h where h.inhparent = c.oid))),
  'definition', (
    select pg_catalog.json_agg(pg_catalog.json_build_array(l.line) order by l.n)
    from pg_catalog.regexp_split_to_table(case when c.relkind in ('v', 'm') then
      pg_catalog.pg_get_viewdef(c.oid, true) end, '\n') with ordinality l(line, n)),
  'columns', (
    select pg_catalog.json_agg(pg_catalog.json_build_array(
      a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), not a.attnotnull,
      case when a.attidentity <> '' then 'generated as identity'
        when a.attgenerated <> '' then 'generated always as (' || pg_catalog.pg_get_expr(d.adbin, d.adrelid) || ')'
        else pg_catalog.pg_get_expr(d.adbin, d.adrelid) end,
      pg_catalog.left(pg_catalog.col_description(c.oid, a.attnum), 1000)) order by a.attnum)
    from pg_catalog.pg_attribute a
    left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
  'statistics', (
    select pg_catalog.json_agg(pg_catalog.json_build_array(
      s.attname, pg_catalog.round(s.null_frac::numeric, 4),
      case when s.n_distinct >= 0 then s.n_distinct::bigint
        else pg_catalog.round((-s.n_distinct * c.reltuples)::numeric)::bigint end,
      (select pg_catalog.json_agg(
          pg_catalog.json_build_array(pg_catalog.left(v.value, 40), pg_catalog.round(v.share::numeric, 4)))
        from rows from (
          pg_catalog.json_array_elements_text(pg_catalog.to_json(s.most_common_vals)),
          pg_catalog.unnest(s.most_common_freqs)
        ) with ordinality as v(value, share, n) where v.n <= 5),
      pg_catalog.left(pg_catalog.to_json(s.histogram_bounds) ->> 0, 40),
      pg_catalog.left(pg_catalog.to_json(s.histogram_bounds) ->> -1, 40)) order by a.attnum)
    from pg_catalog.pg_stats s join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attname = s.attname
    where s.schemaname = n.nspname and s.tablename = c.relname and s.inherited = (c.relkind = 'p')),
  'constraints', (
    select pg_catalog.json_agg(pg_catalog.json_build_array(
      k.conname, pg_catalog.pg_get_constraintdef(k.oid, true), k.convalidated) order by k.contype <> 'p', k.conname)
    from pg_catalog.pg_constraint k where k.conrelid = c.oid and k.contype in ('p', 'u', 'c', 'f', 'x')),
  'referenced_by', (
    select pg_catalog.json_agg(pg_catalog.json_build_array(
      pg_catalog.format('%I.%I', fn.nspname, fc.relname), pg_catalog.pg_get_constraintdef(k.oid, true))
      order by fn.nspname, fc.relname, k.conname)
    from pg_catalog.pg_constraint k
    join pg_catalog.pg_class fc on fc.oid = k.conrelid join pg_catalog.pg_namespace fn on fn.oid = fc.relnamespace
    where k.confrelid = c.oid and k.contype = 'f' and k.conparentid = 0),
  'indexes', (
    select pg_catalog.json_agg(pg_catalog.json_build_array(
      ic.relname, pg_catalog.pg_get_indexdef(i.indexrelid), pg_catalog.pg_relation_size(i.indexrelid),
      pg_catalog.pg_stat_get_numscans(i.indexrelid), i.indisvalid) order by ic.relname)
    from pg_catalog.pg_index i join pg_catalog.pg_class ic on ic.oid = i.indexrelid
    where i.indrelid = c.oid),
  'triggers', (
    select pg_catalog.json_agg(pg_catalog.json_build_array(
      g.tgname, pg_catalog.pg_get_triggerdef(g.oid, true), g.tgenabled <> 'D') order by g.tgname)
    from pg_catalog.pg_trigger g where g.tgrelid = c.oid and not g.tgisinternal),
  'policies', (
    select pg_catalog.json_agg(pg_catalog.json_build_array(
      p.policyname, p.permissive, p.roles, p.cmd, p.qual, p.with_check) order by p.policyname)
    from pg_catalog.pg_policies p where p.schemaname = n.nspname and p.tablename = c.relname)))
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'v', 'm', 'f')
"""

# $1: a schema. $2: a relation. One row if there is such a relation.
RELATION = """
select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'v', 'm', 'f')
"""

# Every foreign key: schema and name of the table that has it and of the one it refers to, with the columns of both.
FOREIGN_KEYS = """
select n.nspname, c.relname, rn.nspname, r.relname,
  (select pg_catalog.json_agg(a.attname order by k.position)
    from pg_catalog.unnest(f.conkey) with ordinality k(attnum, position)
    join pg_catalog.pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.attnum),
  (select pg_catalog.json_agg(a.attname order by k.position)
    from pg_catalog.unnest(f.confkey) with ordinality k(attnum, position)
    join pg_catalog.pg_attribute a on a.attrelid = f.confrelid and a.attnum = k.attnum)
from pg_catalog.pg_constraint f
join pg_catalog.pg_class c on c.oid = f.conrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_class r on r.oid = f.confrelid join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
where f.contype = 'f' and f.conparentid = 0
order by n.nspname, c.relname, f.conname
"""

# $1: whether to list the system's schemas too.
SCHEMAS = """
select n.nspname, pg_catalog.pg_get_userbyid(n.nspowner), coalesce(c.tables, 0), coalesce(c.views, 0),
  (select count(*) from pg_catalog.pg_proc p where p.pronamespace = n.oid), coalesce(c.bytes, 0),
  pg_catalog.has_schema_privilege(n.oid, 'usage'),
  pg_catalog.left(pg_catalog.obj_description(n.oid, 'pg_namespace'), 500)
from pg_catalog.pg_namespace n
left join (
  select relnamespace, count(*) filter (where relkind in ('r', 'p', 'f') and not relispartition) as tables,
    count(*) filter (where relkind in ('v', 'm')) as views, sum(relpages::bigint) * 8192 as bytes
  from pg_catalog.pg_class group by relnamespace) as c on c.relnamespace = n.oid
where n.nspname !~ '^pg_(toast|temp)'
  and ($1::boolean or n.nspname not in ('pg_catalog', 'information_schema'))
order by n.nspname
"""

# $1: a schema. One short text that changes when what is in the schema does: `xmin` tells of a new version of a catalog
# row, and what VACUUM and ANALYZE note there leaves it as it is.
FINGERPRINT = """
with relations as (
  select c.oid, c.xmin from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname = $1 and c.relkind <> 't'
), objects as (
  select oid, xmin from relations
  union all
  select a.attrelid, a.xmin from pg_catalog.pg_attribute a join relations r on r.oid = a.attrelid where a.attnum > 0
  union all
  select k.oid, k.xmin from pg_catalog.pg_constraint k join relations r on r.oid = k.conrelid
  union all
  select w.oid, w.xmin from pg_catalog.pg_rewrite w join relations r on r.oid = w.ev_class
  union all
  select g.oid, g.xmin from pg_catalog.pg_trigger g join relations r on r.oid = g.tgrelid
  union all
  select p.oid, p.xmin from pg_catalog.pg_policy p join relations r on r.oid = p.polrelid
  union all
  select d.objoid, d.xmin from pg_catalog.pg_description d join relations r on r.oid = d.objoid
    and d.classoid = 'pg_catalog.pg_class'::regclass
  union all
  select p.oid, p.xmin from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
  where n.nspname = $1
  union all
  select t.oid, t.xmin from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
  where n.nspname = $1
)
select pg_catalog.md5(pg_catalog.string_agg(oid::text || ' ' || xmin::text, ',' order by oid, xmin::text)) from objects
"""

# $1: the beginning of a name, as a LIKE pattern. $2: a schema, or null for all but the system's. $3: the most rows.
TABLE_NAMES = """
select distinct c.relname::text collate "C" as name
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relname like $1
  and case when $2::text is null
    then n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
    else n.nspname = $2 end
order by name limit $3
"""

# $1: the beginning of a name, as a LIKE pattern. $2: the most rows.
SCHEMA_NAMES = """
select n.nspname from pg_catalog.pg_namespace n
where n.nspname like $1 and n.nspname !~ '^pg_(toast|temp)'
order by n.nspname limit $2
"""

# $1: a misspelt name. The relations most like it in length: their names as they are and as SQL writes them.
RELATIONS_LIKE = """
select c.relname, pg_catalog.format('%I.%I', n.nspname, c.relname)
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname not in ('pg_catalog', 'information_schema')
  and n.nspname !~ '^pg_(toast|temp)'
order by pg_catalog.abs(pg_catalog.length(c.relname::text) - pg_catalog.length($1)), c.relname limit 2000
"""

# $1: the words of a statement. The columns of the relations among them: their names as they are and as SQL writes them.
COLUMNS_OF = """
select distinct a.attname, pg_catalog.quote_ident(a.attname)
from pg_catalog.pg_class c join pg_catalog.pg_attribute a on a.attrelid = c.oid
where c.relname = any ($1::text[]) and c.relkind in ('r', 'p', 'v', 'm', 'f') and a.attnum > 0 and not a.attisdropped
limit 2000
"""

# $1: a misspelt name. The functions most like it in length: their names as they are and as SQL writes them.
FUNCTIONS_LIKE = """
select distinct on (pg_catalog.abs(pg_catalog.length(p.proname::text) - pg_catalog.length($1)), p.proname)
  p.proname,
  case when n.nspname = 'pg_catalog' then pg_catalog.quote_ident(p.proname)
    else pg_catalog.format('%I.%I', n.nspname, p.proname) end
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where n.nspname <> 'information_schema' and p.proname !~ '^(pg_stat_get|RI_FKey)'
order by pg_catalog.abs(pg_catalog.length(p.proname::text) - pg_catalog.length($1)), p.proname limit 2000
"""

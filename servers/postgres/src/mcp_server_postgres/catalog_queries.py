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

# $1: kinds, or null for all. $2: a schema, or null for all but the system's. $3: an ILIKE pattern. $4: whether that is
# for schema.name. $5, $6, $7: the schema, name and kind to continue after, or null. $8: the most rows.
SEARCH_OBJECTS = """
with schemas as (
  select n.oid, n.nspname::text collate "C" as schema from pg_catalog.pg_namespace n
  where case when $2::text is null
    then n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
    else n.nspname = $2 end
), objects as (
  select s.schema, c.relname::text collate "C" as name, c.oid, 'pg_class' as catalog,
    case c.relkind when 'r' then 'table' when 'p' then 'partitioned_table' when 'v' then 'view'
      when 'm' then 'materialized_view' when 'f' then 'foreign_table' when 'S' then 'sequence' else 'index' end as kind,
    case when c.relkind in ('r', 'p', 'm', 'f') and c.reltuples >= 0 then c.reltuples::bigint end as estimated_rows
  from schemas s join pg_catalog.pg_class c on c.relnamespace = s.oid
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'i', 'I')
  union all
  select s.schema,
    pg_catalog.format('%s(%s)', p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)) collate "C",
    p.oid, 'pg_proc', case p.prokind when 'p' then 'procedure' else 'function' end, null
  from schemas s join pg_catalog.pg_proc p on p.pronamespace = s.oid
  where $1::text[] is null or $1 && array['function', 'procedure']
  union all
  select s.schema, t.typname::text collate "C", t.oid, 'pg_type', 'type', null
  from schemas s join pg_catalog.pg_type t on t.typnamespace = s.oid
  left join pg_catalog.pg_class c on c.oid = t.typrelid
  where t.typcategory <> 'A' and t.typtype <> 'p' and (t.typrelid = 0 or c.relkind = 'c')
), page as (
  select * from objects
  where ($1::text[] is null or kind = any ($1))
    and case when $4::boolean then schema || '.' || name else name end collate "default" ilike $3
    and ($5::text is null or (schema, name, kind) > ($5, $6, $7))
  order by schema, name, kind collate "C"
  limit $8
)
select schema, name, kind, estimated_rows, pg_catalog.left(pg_catalog.obj_description(oid, catalog), 1000)
from page order by schema, name, kind collate "C"
"""

# $1: a schema. $2: a relation. One row with one JSON document, or none.
DESCRIBE_TABLE = """
select pg_catalog.json_build_object(
  'schema', n.nspname, 'name', c.relname,
  'kind', case c.relkind when 'r' then 'table' when 'p' then 'partitioned_table' when 'v' then 'view'
    when 'm' then 'materialized_view' else 'foreign_table' end,
  'comment', pg_catalog.left(pg_catalog.obj_description(c.oid, 'pg_class'), 1000),
  'estimated_rows', case when c.relkind <> 'v' and c.reltuples >= 0 then c.reltuples::bigint end,
  'columns', coalesce((
    select pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', a.attname,
      'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
      'nullable', not a.attnotnull,
      'default', case when a.attidentity <> '' then 'generated as identity'
        when a.attgenerated <> '' then 'generated always as (' || pg_catalog.pg_get_expr(d.adbin, d.adrelid) || ')'
        else pg_catalog.pg_get_expr(d.adbin, d.adrelid) end,
      'comment', pg_catalog.left(pg_catalog.col_description(c.oid, a.attnum), 1000)) order by a.attnum)
    from pg_catalog.pg_attribute a
    left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]'),
  'primary_key', coalesce((
    select pg_catalog.json_agg(a.attname order by k.position)
    from pg_catalog.pg_constraint p
    cross join pg_catalog.unnest(p.conkey) with ordinality k(attnum, position)
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
    where p.conrelid = c.oid and p.contype = 'p'), '[]'),
  'foreign_keys', coalesce((
    select pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', f.conname,
      'columns', (
        select pg_catalog.json_agg(a.attname order by k.position)
        from pg_catalog.unnest(f.conkey) with ordinality k(attnum, position)
        join pg_catalog.pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.attnum),
      'referenced_schema', rn.nspname,
      'referenced_table', r.relname,
      'referenced_columns', (
        select pg_catalog.json_agg(a.attname order by k.position)
        from pg_catalog.unnest(f.confkey) with ordinality k(attnum, position)
        join pg_catalog.pg_attribute a on a.attrelid = f.confrelid and a.attnum = k.attnum)) order by f.conname)
    from pg_catalog.pg_constraint f
    join pg_catalog.pg_class r on r.oid = f.confrelid
    join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
    where f.conrelid = c.oid and f.contype = 'f'), '[]'),
  'indexes', coalesce((
    select pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', ic.relname, 'definition', pg_catalog.pg_get_indexdef(i.indexrelid)) order by ic.relname)
    from pg_catalog.pg_index i join pg_catalog.pg_class ic on ic.oid = i.indexrelid
    where i.indrelid = c.oid), '[]'))
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'v', 'm', 'f')
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

"""How SQL text is split and what shape it is said to have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_server_postgres.statements import called, explained, first_word, has_parameters, limited, shape, split, tokens


@pytest.mark.parametrize(
    ("script", "statements"),
    [
        ("", []),
        (" ; ;; ", []),
        ("-- only a comment", []),
        ("select 1", ["select 1"]),
        ("select 1; select 2;", ["select 1", "select 2"]),
        ("select ';'; select 2", ["select ';'", "select 2"]),
        ("select 'it''s; fine'; select 2", ["select 'it''s; fine'", "select 2"]),
        (r"select E'\';'; select 2", [r"select E'\';'", "select 2"]),
        (r"select '\'; select 2", [r"select '\'", "select 2"]),
        ('select ";"; select 2', ['select ";"', "select 2"]),
        ("select $$;$$; select 2", ["select $$;$$", "select 2"]),
        ("select $a$;$$;$b$;$a$; select 2", ["select $a$;$$;$b$;$a$", "select 2"]),
        ("select a$b$c; select d$b$e", ["select a$b$c", "select d$b$e"]),
        ("select $1; select $2", ["select $1", "select $2"]),
        ("select 1 /* ; /* ; */ ; */; select 2", ["select 1", "select 2"]),
        ("select 1 -- ;\n; select 2", ["select 1", "select 2"]),
        ("create rule r as on insert to t do (select 1; select 2); select 3", None),
        ("select case when true then 1 end; select 2", ["select case when true then 1 end", "select 2"]),
        ("begin; select 1; end; select 2", ["begin", "select 1", "end", "select 2"]),
    ],
)
def test_a_script_is_split_where_statements_end(script: str, statements: list[str] | None) -> None:
    expected = statements or ["create rule r as on insert to t do (select 1; select 2)", "select 3"]
    assert split(script) == (expected if statements is None else statements)


def test_the_body_of_an_sql_function_is_not_split() -> None:
    function = (
        "create or replace function f(n int) returns int begin atomic "
        "select case when n > 0 then 1 else (select case n when 1 then 2 end) end; select 2; end"
    )
    assert split(f"{function}; select 3") == [function, "select 3"]


def test_a_procedure_in_quotes_may_begin_and_end() -> None:
    procedure = "create procedure p() language plpgsql as $$ begin if true then null; end if; end $$"
    assert split(f"{procedure}; call p()") == [procedure, "call p()"]


@given(st.text(alphabet="abe$'\"\\;-/*() \n1E", max_size=60))
def test_any_text_can_be_split_and_loses_nothing_but_blanks_comments_and_semicolons(script: str) -> None:
    position = 0
    for statement in split(script):
        position = script.index(statement, position) + len(statement)
    assert split(" ; ".join(split(script))) is not None


@pytest.mark.parametrize("text", ["'" * 200_001, "/*" * 100_000, "$a$" * 100_001, "(" * 200_000, '"' * 200_001])
def test_long_text_that_never_ends_is_read_in_one_go(text: str) -> None:
    assert list(tokens(text))[-1:] is not None


@pytest.mark.parametrize(
    ("sql", "word"),
    [("", ""), (" ; SELECT 1", "select"), ("/* a /* b */ c */ -- d\n Table t", "table"), ("(select 1)", "(")],
)
def test_the_first_word_is_past_blanks_and_comments(sql: str, word: str) -> None:
    assert first_word(sql) == word


@given(
    st.lists(
        st.sampled_from([" ", "\n", ";", "--x\n", "/*", "*/", "'", "e'", "E'a'", "$$", '"', "(", "SELECT", "é1", "$1"])
    )
)
def test_the_first_word_is_the_first_of_the_tokens(pieces: list[str]) -> None:
    sql = "".join(pieces)
    assert first_word(sql) == next((token.text for token in tokens(sql) if token.text != ";"), "")


@pytest.mark.parametrize(
    "sql",
    [
        "update t set a = 1",
        "UPDATE ONLY t SET a = (SELECT 1 WHERE true)",
        "delete from t",
        "delete from t using u",
        "with gone as (delete from t returning *) select * from gone where true",
        "with a as (select 1 where true) update t set x = 1",
        "explain analyze delete from t",
        "explain (analyze, costs off) update t set a = 1",
        "/* where */ delete from t -- where",
        "update t set note = 'where'",
        "with w as materialized (delete from t) select 1",
    ],
)
def test_a_change_of_every_row_is_noticed(sql: str) -> None:
    assert shape(sql).everywhere


@pytest.mark.parametrize(
    "sql",
    [
        "update t set a = (1) where b",
        "delete from t where current of c",
        "with gone as (delete from t where (a)) select 1",
        "with a as (select 1) delete from t where x in (select 1)",
        "insert into t values (1) on conflict (id) do update set a = 1",
        "select * from t for update",
        "select * from t for no key update",
        "explain delete from t",
        "select 'delete from t'",
        'select "delete" from t',
        "merge into t using u on t.id = u.id when matched then delete",
        "create table t (a int references u on delete cascade)",
    ],
)
def test_a_change_of_some_rows_is_none_of_every_row(sql: str) -> None:
    assert not shape(sql).everywhere


@pytest.mark.parametrize(
    ("sql", "defines"),
    [
        ("create table t ()", True),
        ("truncate t", True),
        ("do $$ begin end $$", True),
        ("call p()", True),
        ("grant select on t to u", True),
        ("select * into t from u", True),
        ("with a as (select 1) select * into t from a", True),
        ("explain analyze create table t as select 1", True),
        ("select 1", False),
        ("(values (1))", False),
        ("insert into t select 1", False),
        ("with a as (select 1) insert into t select * from a", False),
        ("merge into t using u on true when matched then do nothing", False),
        ("set work_mem = '1MB'", False),
        ("explain create table t as select 1", False),
    ],
)
def test_a_statement_that_defines_is_told_from_one_that_changes_rows(sql: str, defines: bool) -> None:  # noqa: FBT001
    assert shape(sql).defines is defines


@pytest.mark.parametrize(
    ("sql", "controls"),
    [
        ("commit", True),
        ("begin", True),
        ("start transaction", True),
        ("rollback to savepoint a", True),
        ("savepoint a", True),
        ("prepare transaction 'x'", True),
        ("set transaction read only", True),
        ("set local work_mem = '1MB'", False),
        ("select 1", False),
    ],
)
def test_transaction_control_is_noticed(sql: str, controls: bool) -> None:  # noqa: FBT001
    assert shape(sql).controls_transaction is controls


@pytest.mark.parametrize(
    ("sql", "inner"),
    [
        ("select 1", "select 1"),
        ("explain analyze select 1", "select 1"),
        ("explain (analyze, verbose) select 1", "select 1"),
        ("explain analyze verbose (select 1)", "(select 1)"),
    ],
)
def test_what_explain_analyze_runs_is_found(sql: str, inner: str) -> None:
    assert explained(sql) == inner


@pytest.mark.parametrize(
    "sql",
    [
        "select * from t order by a",
        "select * from t order by a;;  -- the end",
        "select * from t order by a /* no limit */ desc nulls last",
        "with x as (select 1 limit 1) select * from x order by (select 1 limit 1)",
        "(select 1) union (select 2 limit 1) order by 1",
        "values (1) order by 1",
        "table t order by a",
    ],
)
def test_a_sorted_query_can_be_limited(sql: str) -> None:
    assert limited(sql, 7).endswith("\nLIMIT 7")


@pytest.mark.parametrize(
    "sql",
    [
        "select * from t",
        "select * from t order by a limit 3",
        "select * from t order by a offset 3",
        "select * from t order by a fetch first 3 rows only",
        "select * from t order by a for update",
        "select * into u from t order by a",
        "select string_agg(a, ',' order by a) from t",
        "select rank() over (order by a) from t",
        "explain select * from t order by a",
        "declare c cursor for select * from t order by a",
        "create view v as select * from t order by a",
        "with x as (select 1 order by 1) delete from t where a = 1 order by 1",
        "select 'order by'",
        'select 1 as "order", 2 as by',
    ],
)
def test_any_other_statement_is_left_as_it_is(sql: str) -> None:
    assert limited(sql, 7) == ""


@pytest.mark.parametrize("sql", ["select $1", "select '$2' || $3", "select 1 -- $1\n+ $12", "limit $1"])
def test_a_parameter_is_found(sql: str) -> None:
    assert has_parameters(sql)


@pytest.mark.parametrize(
    "sql", ["select '$1'", 'select "$1"', "select $$ $1 $$", "select $a$ $1 $a$", "select 1 -- $1"]
)
def test_a_dollar_in_quotes_or_a_comment_is_no_parameter(sql: str) -> None:
    assert not has_parameters(sql)


def test_names_that_are_called_are_found() -> None:
    found = called("""select Random(), "Nextval" ('s'), a.now () from t where x in (1) and 'f(' <> $$g($$ -- h()""")
    assert {"random", "Random", "Nextval", "now", "in"} <= found
    assert found.isdisjoint({"f", "g", "h"})

"""GitHub's own schema of its GraphQL API (`@octokit/graphql-schema`): tests and their answers are held to it."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from emulator import NODE

PEERS = Path(__file__).parents[3] / "tests/peers/node_modules"
SCHEMA = PEERS / "@octokit/graphql-schema/schema.graphql"

# An answer is as described if GitHub's schema, executed over it, finds every field, of its type and not null.
SCRIPT = f"""
import {{ readFileSync }} from "node:fs";
import {{ buildSchema, execute, parse, validate }} from {json.dumps((PEERS / "graphql/index.mjs").as_uri())};

const asItIs = {{ assumeValid: true, assumeValidSDL: true }};  // GitHub defines a field twice
const schema = buildSchema(readFileSync({json.dumps(str(SCHEMA))}, "utf8"), asItIs);
const answered = (source, args, context, info) => source[info.path.key];
const faults = JSON.parse(readFileSync(0, "utf8")).flatMap(({{ query, variables, data }}) => {{
  const document = parse(query);
  const unknown = validate(schema, document);
  if (unknown.length) return unknown;
  const shared = {{ schema, document, variableValues: variables, typeResolver: () => "User" }};
  const executed = execute({{ ...shared, rootValue: data ?? {{}}, fieldResolver: answered }});
  return (executed.errors ?? []).filter((error) => data || !error.path);
}});
console.log(JSON.stringify(faults.map((fault) => `${{fault.message}} at ${{fault.path ?? "the query"}}`)));
"""


def faults_of_graphql(exchanged: Sequence[dict[str, Any]]) -> list[str]:
    """Return what GitHub does not have, or not so.

    Args:
        exchanged: query, variables and data of each request; data is None where it was refused.
    """
    if not SCHEMA.exists():
        pytest.skip("no @octokit/graphql-schema: npm ci --prefix tests/peers")
    command = [NODE, "--input-type=module", "--eval", SCRIPT]
    done = subprocess.run(command, input=json.dumps(exchanged), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)

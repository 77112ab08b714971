"""What searching has cost."""

from mcp_server_shared.call import Call
from mcp_server_shared.output import Records

from mcp_server_search.state import State
from mcp_server_search.usage import this_month


async def get_usage(call: Call[State]) -> Records:
    """Show what this month's searches have used of the budget and of the provider's quota."""
    columns = ["provider", "month", "requests", "budget", "left_at_provider"]
    search = call.state.search
    if search is None:
        return Records(columns=columns, rows=[], untrusted=False)
    provider = search.provider
    month = this_month()
    if not provider.costs:
        return Records(columns=columns, rows=[[provider.name, month, None, None, None]], untrusted=False)
    counts = await search.usage.counts(month)
    row = [provider.name, month, counts.get(provider.name, 0), search.usage.budget, provider.quota_left()]
    return Records(columns=columns, rows=[row], untrusted=False)

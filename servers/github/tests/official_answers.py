"""How large the answers of github/github-mcp-server are, by the fields that its types have at v1.10.1.

That server is written in Go and knows real GitHub alone, so it does not run here: what it would answer is put together
from the same data, field by field (`pkg/github/minimal_types.go`, `pkg/github/actions.go`).
"""

import json
from typing import Any

Json = dict[str, Any]
TAIL_LINES = 500  # of a log, unless a model asks for another number


def pull_request(
    pull: Json, files: list[Json], runs: list[Json], reviews: list[Json], threads: list[Json]
) -> list[str]:
    """Return the five answers that tell what a pull request is about: get, files, checks, reviews, threads."""
    meta = {
        "number": pull["number"],
        "title": pull["title"],
        "body": pull["body"],
        "state": pull["state"],
        "draft": pull["draft"],
        "merged": pull["merged"],
        "mergeable_state": pull["mergeable_state"],
        "html_url": pull["html_url"],
        "user": _user(pull["user"]),
        "head": _branch(pull["head"]),
        "base": _branch(pull["base"]),
        **{name: pull[name] for name in ("additions", "deletions", "changed_files", "commits", "comments")},
        "created_at": pull["created_at"],
        "updated_at": pull["updated_at"],
    }
    file_fields = ("filename", "status", "additions", "deletions", "changes", "patch")
    run_fields = ("id", "name", "status", "conclusion", "html_url", "details_url", "started_at", "completed_at")
    review_fields = ("id", "state", "body", "html_url", "commit_id", "submitted_at", "author_association")
    answers: list[Any] = [
        meta,
        [_picked(file, file_fields) for file in files],
        {"total_count": len(runs), "check_runs": [_picked(run, run_fields) for run in runs]},
        [_picked(review, review_fields) | {"user": _user(review["user"])} for review in reviews],
        {
            "review_threads": [_thread(thread, pull["html_url"]) for thread in threads],
            "totalCount": len(threads),
            "pageInfo": {"hasNextPage": False, "hasPreviousPage": False, "startCursor": "x", "endCursor": "y"},
        },
    ]
    return [json.dumps(answer, ensure_ascii=False, separators=(",", ":")) for answer in answers]


def failed_jobs(run: int, jobs: list[Json], logs: dict[int, str]) -> str:
    """Return the answer with the logs of the failed jobs of a run."""
    failed = [job for job in jobs if job["conclusion"] == "failure"]
    entries = [
        {
            "job_id": job["id"],
            "job_name": job["name"],
            "logs_content": "\n".join(logs[job["id"]].splitlines()[-TAIL_LINES:]),
            "message": "Job logs content retrieved successfully",
            "original_length": len(logs[job["id"]].splitlines()),
        }
        for job in failed
    ]
    answer = {
        "message": f"Retrieved logs for {len(failed)} failed jobs",
        "run_id": run,
        "total_jobs": len(jobs),
        "failed_jobs": len(failed),
        "logs": entries,
        "return_format": {"content": True, "urls": False},
    }
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


def _picked(thing: Json, names: tuple[str, ...]) -> Json:
    return {name: thing[name] for name in names if thing.get(name)}


def _user(user: Json) -> Json:
    return {
        "login": user["login"],
        "id": user["id"],
        "profile_url": user["html_url"],
        "avatar_url": user["avatar_url"],
    }


def _branch(end: Json) -> Json:
    repo = _picked(end["repo"], ("full_name", "description"))
    return {"ref": end["ref"], "sha": end["sha"], "repo": repo}


def _thread(thread: Json, url: str) -> Json:
    comments = [
        {
            "body": comment["body"],
            "path": thread["path"],
            "line": thread["line"],
            "author": comment["author"]["login"],
            "created_at": comment["createdAt"],
            "updated_at": comment["createdAt"],
            "html_url": f"{url}#discussion_r{comment['databaseId']}",
        }
        for comment in thread["comments"]["nodes"]
    ]
    return {
        "id": thread["id"],
        "is_resolved": thread["isResolved"],
        "is_outdated": thread["isOutdated"],
        "is_collapsed": thread["isResolved"],
        "comments": comments,
        "total_count": thread["comments"]["totalCount"],
    }

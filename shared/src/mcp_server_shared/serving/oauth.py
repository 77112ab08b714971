"""Tokens of an OAuth 2.1 authorization server: JWTs verified with its keys, or opaque ones that it is asked about."""

import hashlib
import json
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, cast
from urllib.parse import quote_plus, urlsplit

import anyio
import httpx2
import jwt

from mcp_server_shared.callers import CallerToken
from mcp_server_shared.serving.settings import is_secure

logger = logging.getLogger(__name__)

AnswerT = TypeVar("AnswerT")

# Pinned: never what the token asks for alone, and no symmetric one, for which a public key would be a secret.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
CLOCK_SKEW_S = 30
MINUTE_S = 60.0
KEYS_KEPT_S = 300.0
RETRY_S = 10.0
MOST_FETCHES_A_MINUTE = 10  # of keys, which tokens with unknown key ids ask for
ANSWERS_KEPT_S = 30.0  # of introspection: for so long a revoked token works on
MOST_ANSWERS = 4_096
MOST_ASKED_AT_ONCE = 16  # anybody can send tokens, so nobody may turn that on the issuer
MOST_WAITING = 256
TIMEOUT_S = 10.0
MOST_BYTES = 1_000_000


class IssuerUnavailable(Exception):
    """The authorization server does not answer, so nobody can say whether a token is good."""


Grants = Callable[[list[str]], frozenset[str]]


class JwtVerifier:
    """Verifies JWTs of one issuer.

    Args:
        client: fetches metadata and keys.
        issuer: as the tokens name it.
        audience: what they must be made out to.
        jwks_url: where the keys are; None for what the issuer's metadata says.
        grants: what scopes give here.
    """

    def __init__(
        self, client: httpx2.AsyncClient, issuer: str, audience: str, jwks_url: str | None, grants: Grants
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = _Keys(client, issuer, jwks_url)
        self._grants = grants

    async def verify(self, token: str) -> CallerToken | None:
        """Return whose token it is; None for one that is not good here, for whatever reason.

        Raises:
            IssuerUnavailable: its keys cannot be had.
        """
        try:
            header = jwt.get_unverified_header(token)
            key = await self._keys.find(header.get("kid"), header["alg"])
            if key is None:
                return None
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self._audience,
                issuer=self._issuer,
                leeway=CLOCK_SKEW_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            logger.info("refused a token: %s", type(error).__name__)
            return None
        return _caller_token(token, claims, self._issuer, self._audience, self._grants)


class IntrospectingVerifier:
    """Asks the issuer about each token (RFC 7662), and remembers its answers for half a minute."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        url: str,
        credential: tuple[str, str],
        *,
        issuer: str,
        audience: str,
        grants: Grants,
    ) -> None:
        self._client = client
        self._url = url
        # Encoded as RFC 6749, section 2.3.1, says, so that they may have any characters.
        self._credential = (quote_plus(credential[0]), quote_plus(credential[1]))
        self._issuer = issuer
        self._audience = audience
        self._grants = grants
        self._asking = anyio.CapacityLimiter(MOST_ASKED_AT_ONCE)
        # Apart, or who sends made-up tokens would make those of others be forgotten.
        self._good = _Remembered[CallerToken]()
        self._bad = _Remembered[None]()

    async def verify(self, token: str) -> CallerToken | None:
        """Return whose token it is; None for one that is not active, or not for us.

        Raises:
            IssuerUnavailable: it does not answer.
        """
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        if digest in self._bad:
            return None
        known = self._good.get(digest)
        if known is None:
            known = self._judge(token, await self._ask(token))
            if known is None:
                self._bad.put(digest, None)
                return None
            self._good.put(digest, known)
        return None if _is_over(known.expires_at) else known

    async def _ask(self, token: str) -> dict[str, Any]:
        asking = self._asking.statistics()
        if asking.borrowed_tokens >= asking.total_tokens and asking.tasks_waiting >= MOST_WAITING:
            raise IssuerUnavailable("more tokens that nobody knows come than can be asked about")
        form = {"token": token, "token_type_hint": "access_token"}
        async with self._asking:
            return await _json(self._client, "POST", self._url, data=form, auth=self._credential)

    def _judge(self, token: str, claims: Mapping[str, Any]) -> CallerToken | None:
        audiences: Any = claims.get("aud") or []
        if claims.get("active") is not True or _is_over(claims.get("exp")):
            return None
        if claims.get("iss", self._issuer) != self._issuer or self._audience not in _texts(audiences):
            logger.info("refused a token that is made out to somebody else")
            return None
        return _caller_token(token, claims, self._issuer, self._audience, self._grants)


class _Remembered(Generic[AnswerT]):
    """Answers of half a minute; those longest ago go first."""

    def __init__(self) -> None:
        self._answers: OrderedDict[bytes, tuple[float, AnswerT]] = OrderedDict()

    def __contains__(self, digest: bytes) -> bool:
        asked, _ = self._answers.get(digest, (float("-inf"), None))
        return time.monotonic() - asked <= ANSWERS_KEPT_S

    def get(self, digest: bytes) -> AnswerT | None:
        return self._answers[digest][1] if digest in self else None

    def put(self, digest: bytes, answer: AnswerT) -> None:
        self._answers[digest] = (time.monotonic(), answer)
        self._answers.move_to_end(digest)
        if len(self._answers) > MOST_ANSWERS:
            self._answers.popitem(last=False)


def _is_over(expires_at: Any) -> bool:
    return isinstance(expires_at, int | float) and expires_at + CLOCK_SKEW_S <= time.time()


def _caller_token(
    token: str, claims: Mapping[str, Any], issuer: str, audience: str, grants: Grants
) -> CallerToken | None:
    """Return the token as the server sees it; None where it does not say whose it is."""
    client = claims.get("client_id") or claims.get("azp") or ""
    subject = claims.get("sub", client)
    if not (isinstance(client, str) and isinstance(subject, str) and subject):
        return None
    scopes = _texts(claims.get("scope") or claims.get("scp") or [])
    expires = claims.get("exp")
    return CallerToken(
        token=token,
        client_id=client,
        scopes=scopes,
        grants=grants(scopes),
        expires_at=int(expires) + CLOCK_SKEW_S if isinstance(expires, int | float) else None,
        resource=audience,
        subject=subject,
        claims={"iss": issuer},
    )


def _texts(value: Any) -> list[str]:
    """Return the words of what issuers write as a list or as one text."""
    if isinstance(value, str):
        return value.split()
    return [item for item in cast(list[Any], value) if isinstance(item, str)] if isinstance(value, list) else []


class _Keys:
    """The issuer's public keys, fetched when they are needed: at first, every five minutes, and for an unknown id."""

    def __init__(self, client: httpx2.AsyncClient, issuer: str, jwks_url: str | None) -> None:
        self._client = client
        self._issuer = issuer
        self._jwks_url = jwks_url
        self._keys: list[Mapping[str, Any]] = []
        self._fetched = float("-inf")
        self._fetches: deque[float] = deque(maxlen=MOST_FETCHES_A_MINUTE)
        self._fetching = anyio.Lock()

    async def find(self, kid: Any, algorithm: Any) -> jwt.PyJWK | None:
        """Return the key that a token's header means, if it fits the algorithm and that is one of ours."""
        if algorithm not in ALGORITHMS:
            return None
        if time.monotonic() - self._fetched > KEYS_KEPT_S:
            await self._fetch(self._fetched)
        key = self._known(kid, algorithm)
        if key is None:
            await self._fetch(self._fetched)
            key = self._known(kid, algorithm)
        return key

    def _known(self, kid: Any, algorithm: str) -> jwt.PyJWK | None:
        fitting = [
            key
            for key in self._keys
            if key.get("use", "sig") == "sig"
            and key.get("kty") == _KEY_TYPES[algorithm]
            and key.get("alg", algorithm) == algorithm
        ]
        if kid is not None:
            fitting = [key for key in fitting if key.get("kid") == kid]
        return jwt.PyJWK(dict(fitting[0]), algorithm) if len(fitting) == 1 else None

    async def _fetch(self, seen: float) -> None:
        """Fetch the keys, unless another call did so since `seen` or it was done often enough."""
        async with self._fetching:
            if self._fetched != seen:
                return
            now = time.monotonic()
            if len(self._fetches) == MOST_FETCHES_A_MINUTE and now - self._fetches[0] < MINUTE_S:
                if not self._keys:
                    raise IssuerUnavailable("the issuer's keys could not be fetched")
                return
            self._fetches.append(now)
            try:
                found = await _json(self._client, "GET", await self._url())
            except IssuerUnavailable:
                if not self._keys:
                    raise
                logger.warning("the issuer's keys could not be fetched; those known stay")
                self._fetched = time.monotonic() - KEYS_KEPT_S + RETRY_S
                return
            entries = cast(list[Any], found.get("keys") or [])
            self._keys = [cast(dict[str, Any], entry) for entry in entries if isinstance(entry, dict)]
            self._fetched = time.monotonic()

    async def _url(self) -> str:
        if self._jwks_url is None:
            self._jwks_url = await self._discovered()
        return self._jwks_url

    async def _discovered(self) -> str:
        parts = urlsplit(self._issuer)
        origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
        for url in (
            f"{origin}/.well-known/oauth-authorization-server{path}",
            f"{origin}{path}/.well-known/openid-configuration",
        ):
            try:
                metadata = await _json(self._client, "GET", url)
            except IssuerUnavailable:
                continue
            keys = metadata.get("jwks_uri")
            if metadata.get("issuer") == self._issuer and isinstance(keys, str) and is_secure(keys):
                return keys
        raise IssuerUnavailable(f"{self._issuer} has no metadata that names its keys; --jwks-url can")


_KEY_TYPES = {name: {"R": "RSA", "P": "RSA", "E": "EC"}[name[0]] for name in ALGORITHMS} | {"EdDSA": "OKP"}


async def _json(client: httpx2.AsyncClient, method: str, url: str, **options: Any) -> dict[str, Any]:
    """Return the JSON object that the issuer answers with; no redirects, no more than it takes."""
    try:
        async with client.stream(method, url, headers={"accept": "application/json"}, **options) as response:
            response.raise_for_status()
            data = bytearray()
            async for chunk in response.aiter_bytes():
                data += chunk
                if len(data) > MOST_BYTES:
                    raise IssuerUnavailable(f"{urlsplit(url).netloc} answers without end")
        found = json.loads(data)
    except (httpx2.HTTPError, ValueError, RecursionError) as error:
        raise IssuerUnavailable(f"{urlsplit(url).netloc} gave no answer of use: {type(error).__name__}") from error
    if not isinstance(found, dict):
        raise IssuerUnavailable(f"{urlsplit(url).netloc} gave no JSON object")
    return cast(dict[str, Any], found)

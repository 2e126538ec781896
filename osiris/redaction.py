"""The only masking of secrets: by the value that was resolved, by the name of a key, and by shape in a literal."""

from __future__ import annotations

import base64
import re
import threading
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, unquote_plus

from osiris.errors import OsirisError

MASK = "***"
SHORTEST_MASKED = 4
"""A secret shorter than this is not masked by value: it would mask pieces of ordinary words."""

_SECRET_KEY = re.compile(
    r"(^|[_.\-])(password|passwd|pwd|passphrase|secret|token|api[_\-]?key|apikey|access[_\-]?key|secret[_\-]?key|"
    r"private[_\-]?key|account[_\-]?key|credentials?|authorization|dsn|connection[_\-]?string|"
    r"service[_\-]?role[_\-]?key)$"
    r"|(?-i:(?<=[a-z0-9])(Password|Passwd|Pwd|Passphrase|Secret|Token|A[Pp][Ii]Key|AccessKey|SecretKey|PrivateKey|"
    r"AccountKey|Credentials?|Authorization|Dsn|ConnectionString)$)",
    re.IGNORECASE,
)
_DSN_KEY = re.compile(r"(^|[_.\-])(dsn|connection[_\-]?string)$", re.IGNORECASE)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----")
_DSN_PASSWORD = re.compile(r"\b[a-z][a-z0-9+.\-]{0,30}://[^\s/:@]*:(?P<secret>[^\s/@]+)@", re.IGNORECASE)
# The repetitions that a text may start again and again have bounds, or a long text takes time by its square.
# `password=` alone: what cannot be a comparison in a query, so not `a.password=b.password` or `password=$1`.
_BARE_PASSWORD = re.compile(
    r"(?<![\w.])(?:password|passwd|pwd)=(?P<secret>[^\s;&'\"$?:.()<>]{1,256}+)(?=$|[\s;&])", re.IGNORECASE
)
_KEYWORD_PASSWORD = re.compile(
    r"(?<![\w.])(?:host|hostaddr|server|user|uid|dbname|database|data source)=\S.{0,300}?"
    r"(?<![\w.])(?:password|passwd|pwd)=(?P<secret>[^\s;&]{1,256})",
    re.IGNORECASE | re.DOTALL,
)
_REFERENCE = re.compile(r"^\$\{[^}]*\}$")
_SHORTEST_LINE = 8
_LONGEST_SPELLED = 200
_SHORTEST_IN_BASE64 = 6
_LONGEST_TAIL = 200
"""So much of what follows a secret in base64 goes with it; without a bound a long text takes time by its square."""
_CUT = re.compile(r"\.\.\.|…")
_SPELLINGS = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}
_ENTITIES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
_RUNS = re.compile(r"\\+|'+|\"+|.", re.DOTALL)


def is_secret_key(name: str) -> bool:
    """Whether a key of this name holds a secret: ``password``, ``api_key``, ``DB_TOKEN`` and their kin."""
    return bool(_SECRET_KEY.search(name))


def is_dsn_key(name: str) -> bool:
    """Whether a key of this name holds a DSN: a secret where a password stands in it, and harmless where none does."""
    return bool(_DSN_KEY.search(name))


def secret_shape(text: str) -> str:
    """What kind of secret stands in ``text`` ("a private key", "a DSN with a password"), or "" for none.

    A reference such as ``${DB_PASSWORD}`` in the secret's place is not a secret.
    """
    if _PRIVATE_KEY.search(text):
        return "a private key"
    kinds = {
        _DSN_PASSWORD: "a DSN with a password",
        _KEYWORD_PASSWORD: "a DSN with a password",
        _BARE_PASSWORD: "a password",
    }
    for pattern, kind in kinds.items():
        if any(not _REFERENCE.match(match["secret"]) for match in pattern.finditer(text)):
            return kind
    return ""


class Redactor:
    """Masks every occurrence of the given secret values in a text; values shorter than four characters are left.

    A value is found as it is and as libraries print it: percent-encoded or decoded, escaped by ``repr``, JSON, SQL or
    HTML, in base64 (so in HTTP basic authentication, too) or hex, line by line, and cut off by ``...``.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self.secrets = frozenset(value for value in secrets if len(value) >= SHORTEST_MASKED)
        self._forms = sorted({form for secret in self.secrets for form in _forms(secret)}, key=len, reverse=True)
        self._pattern = _pattern(self._forms) if self._forms else None

    def scrub(self, text: str) -> str:
        """``text`` with each secret value replaced by ``***``, and the password inside any DSN as well."""
        while self._pattern or "://" in text:
            # A mask may complete another secret (``x***``). Masks shorten the text, so there is a last turn.
            scrubbed = _DSN_PASSWORD.sub(_without_password, self._masked(text))
            if scrubbed == text:
                break
            text = scrubbed
        return text

    def scrub_error(self, error: OsirisError) -> OsirisError:
        """The same error with all its texts scrubbed."""
        findings = [
            found._replace(problem=self.scrub(found.problem), hint=self.scrub(found.hint), path=self.scrub(found.path))
            for found in error.findings
        ]
        return OsirisError(
            self.scrub(error.problem),
            self.scrub(error.hint),
            code=error.code,
            exit_code=error.exit_code,
            path=self.scrub(error.path),
            findings=findings,
        )

    def holds(self, text: str) -> bool:
        """Whether one of the values stands in ``text`` in any of its forms."""
        return bool(self._spans(text))

    def _masked(self, text: str) -> str:
        """Secrets that overlap become one mask, so that no tail of one is left behind another."""
        parts: list[str] = []
        done = 0
        for start, end in sorted(self._spans(text)):
            if start >= done or not parts:
                parts += [text[done:start], MASK]
            done = max(end, done)
        return "".join([*parts, text[done:]])

    def _spans(self, text: str) -> list[tuple[int, int]]:
        if self._pattern is None:
            return []
        return [match.span(1) for match in self._pattern.finditer(text)] + list(_cut_off(text, self._forms))


_known = Redactor()
_remembering = threading.Lock()


def remember(redactor: Redactor) -> None:
    """From now on ``known_secrets()`` masks these secrets too, to the end of the process."""
    global _known  # noqa: PLW0603 - stderr and the crash log belong to the process, and so does what is masked there
    with _remembering:  # two runs that begin at once must not forget each other's
        if redactor.secrets - _known.secrets:
            _known = Redactor(_known.secrets | redactor.secrets) if _known.secrets else redactor


def known_secrets() -> Redactor:
    """What masks every secret that this process has resolved so far."""
    return _known


def mask_by_key(value: Any) -> Any:
    """Maps, lists and scalars for showing: what stands under a secret's name is ``***``, and DSNs lose their passwords.

    Nothing, the empty text, true and false, and references stay: they show whether and from where a secret is set.
    """
    if isinstance(value, Mapping):
        return {
            key: _all_masked(below) if is_secret_key(str(key)) else mask_by_key(below) for key, below in value.items()
        }
    if isinstance(value, list | tuple):
        return [mask_by_key(below) for below in value]
    return Redactor().scrub(value) if isinstance(value, str) else value


def _all_masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _all_masked(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [_all_masked(below) for below in value]
    stays = value is None or isinstance(value, bool) or value == "" or _REFERENCE.match(str(value))
    return value if stays else MASK


def _without_password(match: re.Match[str]) -> str:
    start, end = (at - match.start() for at in match.span("secret"))
    return match[0][:start] + MASK + match[0][end:]


def _forms(secret: str) -> Iterator[str]:
    """The texts that are this secret: itself, composed and decomposed, percent-decoded, and its longer lines."""
    forms = [secret, unicodedata.normalize("NFC", secret), unicodedata.normalize("NFD", secret)]
    if "%" in secret:
        forms += [unquote(secret), unquote_plus(secret)]
    yield from (form for form in forms if len(form) >= SHORTEST_MASKED)
    lines = [line.strip() for line in secret.splitlines()]
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= _SHORTEST_LINE)


def _pattern(forms: list[str]) -> re.Pattern[str]:
    """Matches nothing but looks ahead, so that secrets that overlap are all found: group 1 is what to mask.

    The plain texts come first, the longest of them foremost: whatever the other spellings do, these are found.
    """
    wanted = [re.escape(form) for form in forms]
    # The lines of a long text, such as a key, are forms themselves.
    in_one_line = [form for form in forms if "\n" not in form.strip() or len(form) <= _LONGEST_SPELLED]
    wanted += [_spelled(form) for form in in_one_line if not (form.isascii() and form.isalnum())]
    for form in in_one_line:
        content = form.encode("utf-8", "surrogatepass")
        wanted += [content.hex(), content.hex().upper()]
        wanted += [f"{re.escape(inner)}[A-Za-z0-9+/_-]{{0,{_LONGEST_TAIL}}}={{0,2}}" for inner in _in_base64(content)]
    return re.compile(f"(?=({'|'.join(dict.fromkeys(wanted))}))")


def _in_base64(content: bytes) -> set[str]:
    """The characters that these bytes always are in base64, for each of the three places in which they may begin."""
    found = {base64.b64encode(content).decode().rstrip("=")}
    if len(content) >= _SHORTEST_IN_BASE64:
        for before in range(3):
            encoded = base64.b64encode(bytes(before) + content).decode().rstrip("=")
            found.add(encoded[-(-8 * before // 6) : (before + len(content)) * 8 // 6])
    return found | {text.replace("+", "-").replace("/", "_") for text in found}


def _spelled(form: str) -> str:
    """A pattern for the ways in which ``form`` is escaped; a run of backslashes or quotes may have grown."""
    parts: list[str] = []
    slash = r"\\++"
    for run in _RUNS.findall(form):
        if run[0] == "\\":
            parts.append(rf"(?:\\{{{len(run)},}}+|(?i:%5c){{{len(run)}}})")
        elif run[0] in "'\"":
            parts.append(f"(?:{_spelled_character(run[0], slash)}){{{len(run)},{2 * len(run)}}}")
        else:
            parts.append(re.escape(run) if run.isascii() and run.isalnum() else f"(?:{_spelled_character(run, slash)})")
        slash = r"\\*+" if run[0] == "\\" else r"\\++"  # its own backslash went with the run before it
    return "".join(parts)


def _spelled_character(character: str, slash: str) -> str:
    code, content = ord(character), character.encode("utf-8", "surrogatepass")
    units = [int.from_bytes(pair) for pair in _pairs(character.encode("utf-16-be", "surrogatepass"))]
    spellings = [rf"\\*+{re.escape(character)}", f"(?i:{''.join(f'%{byte:02x}' for byte in content)})"]
    spellings += ["".join(f"{slash}u(?i:{unit:04x})" for unit in units), f"{slash}U(?i:{code:08x})"]
    spellings.append("".join(f"{slash}x(?i:{byte:02x})" for byte in content))
    if code < 0x100:
        spellings.append(f"{slash}x(?i:{code:02x})")
    if character in _SPELLINGS:
        spellings.append(slash + _SPELLINGS[character])
    if character == " ":
        spellings.append(r"\+")
    if character in _ENTITIES:
        spellings.append(f"&(?:{_ENTITIES[character]}|#0*{code}|#x0*(?i:{code:x}));")
    return "|".join(spellings)


def _pairs(content: bytes) -> Iterator[bytes]:
    return (content[at : at + 2] for at in range(0, len(content), 2))


def _cut_off(text: str, forms: list[str]) -> Iterator[tuple[int, int]]:
    """What is left of a secret before or behind ``...``: DuckDB, for one, shows 80 characters of a statement."""
    cuts = [cut.span() for cut in _CUT.finditer(text)]
    for place, (start, end) in enumerate(cuts):
        before, behind = text[max(start - SHORTEST_MASKED, 0) : start], text[end : end + SHORTEST_MASKED]
        next_start = cuts[place + 1][0] if place + 1 < len(cuts) else end
        for form in forms:
            sizes = range(len(form), SHORTEST_MASKED - 1, -1)
            if before in form and (kept := next((n for n in sizes if text.endswith(form[:n], 0, start)), 0)):
                yield start - kept, start
            if behind in form and (kept := next((n for n in sizes if text.startswith(form[-n:], end)), 0)):
                yield end, end + kept
            if next_start - end >= SHORTEST_MASKED and text[end:next_start] in form:
                yield end, next_start

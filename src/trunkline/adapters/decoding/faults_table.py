"""In which codes, words and statuses providers say each kind of fault: one table for all dialects.

Theory of operation. A row knows a fault by one of its `codes`, by its `words`, or by its `statuses`; words with
statuses count under these only. What an error says is looked for in this order: codes, words, codes that yield to
words, statuses, codes that yield to statuses. Within one step the upper row wins, and of codes the first that is told.
A server's fault (from 500 on) may quote the request, whose words say nothing about the fault: its words are read for
rows alone that name the status.

A source is a public thread or a vendor's error reference, with the date of what was said or seen. A thread is the
report of one party; where there are two, two said so.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from msgspec import Struct

from trunkline.catalog.quirks import ErrorShape
from trunkline.wire import FaultKind


class Saying(Struct, frozen=True):
    """One way to say a kind of fault; `codes` are lower-case, `words` a pattern for any case.

    `yields_to`: the codes are said of other things too, which the words, or words and status, tell apart. `shape`: who
    alone means that by it.
    """

    kind: FaultKind
    source: str
    codes: tuple[str, ...] = ()
    words: str = ""
    statuses: tuple[int, ...] = ()
    shape: ErrorShape | None = None
    yields_to: Literal["nothing", "words", "status"] = "nothing"


SAYINGS: Final[tuple[Saying, ...]] = (
    # The input does not fit
    Saying(
        "limited",
        "cline/cline#4971, 2025-07-16: Groq says `request too large` of a limit per minute",
        words=r"(tokens|requests) per (minute|second|day|hour)",
    ),
    Saying(
        "too_long",
        "error references of OpenAI, Azure and Anthropic, 2026-11-22",
        codes=(
            "context_length_exceeded",
            "string_above_max_length",
            "model_max_prompt_tokens_exceeded",
            "request_too_large",
        ),
        words=r"(maximum|max(imum)? model|model's) context|context (length|window|size)|prompt is too long"
        r"|(input|prompt|request).{0,40} (is too long|exceeds? the (maximum|max|limit)|too many tokens)"
        r"|exceeds? the (maximum|max) number of (input )?tokens|input token count.{0,40}exceeds"
        r"|too many (input )?tokens\b|maximum (allowed )?(input|prompt) length|reduce the length of",
    ),
    Saying(
        "too_long",
        "ggml-org/llama.cpp#15780, 2025-09-03: with status 500; ggml-org/llama.cpp#17284, 2025-11-15: with 400",
        codes=("exceed_context_size_error",),
    ),
    Saying(
        "too_long",
        "ggml-org/llama.cpp#19774, 2026-02-21: as a `server_error`, which quotes nothing",
        words=r"^context size has been exceeded\.?$",
        statuses=(500,),
    ),
    Saying("too_long", "error reference of MiniMax, 2026-11-22", codes=("1039",), shape="base_resp"),
    Saying(
        "too_long",
        "NousResearch/hermes-agent#1877, 2026-03-18; mangowhoiscloud/geode#668, 2026-04-05: Z.AI",
        codes=("1261",),
        words=r"(prompt|input|messages?|request) (is )?too long|(prompt|input|messages?|request) exceeds? max",
    ),
    Saying(
        "too_long",
        "continuedev/continue#6080, 2025-06-11; docker/docker-agent#569, 2025-10-21: Anthropic",
        words=r"exceeds? (the )?context (limit|length|window)|input length and `?max_tokens`? exceed",
    ),
    Saying(
        "too_long",
        "MoonshotAI/kimi-cli#2011, 2026-04-22; MoonshotAI/kimi-code#1862, 2026-07-17",
        words=r"exceeded model token limit|message size \d+ exceeds limit",
    ),
    Saying("too_long", "QwenLM/qwen-code#98, 2025-07-24: Alibaba", words=r"range of input length should be"),
    Saying(
        "too_long",
        "huggingface/llm-vscode#94, 2023-10-18; barun-saha/slide-deck-ai#44, 2024-09-28: TGI, with 422",
        words=r"inputs`? tokens \+ `?max_new_tokens`? must be|`?inputs`? must have less than \d+ tokens",
    ),
    Saying(
        "too_long",
        "cline/cline#5474, 2025-08-09: OpenAI",
        words=r"tokens exceeds? the configured limit",
    ),
    Saying(
        "too_long",
        "thu-coai/Glyph#9, 2025-11-03: vLLM; vllm-project/vllm-ascend#7535, 2026-03-20",
        words=r"is longer than the (specified )?maximum (model|sequence) length",
    ),
    Saying("too_long", "langgenius/dify#19394, 2025-05-08: SiliconFlow", words=r"must be less than max_seq_len"),
    # Our money, our key
    Saying(
        "credentials",
        "error references of OpenAI, Anthropic, Moonshot, Alibaba and Volcengine, 2026-11-22",
        codes=(
            "insufficient_quota",
            "insufficient_balance",
            "billing_not_active",
            "billing_hard_limit_reached",
            "billing_error",
            "exceeded_current_quota_error",
            "arrearage",
            "accountoverdueerror",
        ),
        words=r"credit balance is too low|insufficient (balance|credits?|quota|funds)"
        r"|(exceeded|out of).{0,20} quota.{0,40}(billing|plan)|not enough (credits?|balance)"
        r"|payment required|(account|balance).{0,30}(overdue|arrears)",
    ),
    Saying(
        "credentials",
        "error references of OpenAI, Google, Anthropic and AWS, 2026-11-22",
        codes=(
            "invalid_api_key",
            "api_key_invalid",
            "invalid_authentication_error",
            "authentication_error",
            "incorrect_api_key_provided",
            "unauthenticated",
            "unrecognizedclientexception",
            "expiredtokenexception",
            "invalidsignatureexception",
        ),
        words=r"(incorrect|invalid|expired|missing|no) (api[ -]?key|access token|authentication token|credentials)"
        r"|api[ -]?key (is )?(invalid|not valid|expired|missing|not provided)"
        r"|user location is not supported",
    ),
    Saying("credentials", "error reference of Z.AI, 2026-11-22", codes=("1113",)),
    Saying(
        "credentials",
        "continuedev/continue#10373, 2026-02-09: xAI, with 429; continuedev/continue#12670, 2026-06-16, and "
        "Wei-Shaw/sub2api#4069, 2026-07-11: with 403",
        words=r"(used all available|doesn't have any|does not have any|run out of) credits|monthly spending limit",
    ),
    Saying(
        "credentials",
        "pollinations/pollinations#12136, 2026-07-01; amd/gaia#3766, 2026-09-14: Fireworks, with 412",
        words=r"account .{0,80} is suspended|failure to pay past invoices",
    ),
    Saying(
        "credentials",
        "error reference of MiniMax, 2026-11-22",
        codes=("1004", "1008", "2049"),
        shape="base_resp",
    ),
    # Content policy
    Saying(
        "refused",
        "error references of OpenAI, Azure, Alibaba and Volcengine, 2026-11-22",
        codes=(
            "content_filter",
            "content_policy_violation",
            "content_policy",
            "moderation_blocked",
            "data_inspection_failed",
            "datainspectionfailed",
            "responsibleaipolicyviolation",
            "sensitivecontentdetected",
            "inputtextsensitivecontentdetected",
            "invalid_prompt_safety",
        ),
        words=r"content (management )?polic|content filter|safety (system|polic|filter)|usage polic"
        r"|flagged (as|by|for)|inappropriate content|sensitive (content|words?)|moderation",
    ),
    Saying(
        "refused",
        "UKGovernmentBEIS/inspect_ai#2267, 2025-08-12; theopenco/llmgateway#1785, 2026-03-03: xAI, with 403",
        words=r"usage guidelines|SAFETY_CHECK_TYPE",
    ),
    Saying(
        "refused",
        "deepseek-ai/awesome-deepseek-integration#13, 2024-05-10; 666ghj/BettaFish#108, 2025-11-04: DeepSeek",
        words=r"content exists risk",
    ),
    Saying(
        "refused",
        "MoonshotAI/kimi-cli#1002, 2026-02-06: Moonshot",
        words=r"considered high risk",
    ),
    Saying("refused", "error reference of MiniMax, 2026-11-22", codes=("1026", "1027"), shape="base_resp"),
    Saying("refused", "error reference of Z.AI, 2026-11-22", codes=("1301",)),
    # Busy
    Saying(
        "overloaded",
        "error references of Anthropic, Moonshot, Mistral, OpenAI and AWS, 2026-11-22",
        codes=(
            "overloaded_error",
            "engine_overloaded_error",
            "service_tier_capacity_exceeded",
            "overloaded",
            "slow_down",
            "serviceunavailableexception",
            "modelnotreadyexception",
            "unavailable",
        ),
        words=r"(engine|model|server|service|system) (is )?(currently |temporarily )?(overloaded|busy|at capacity)"
        r"|overloaded|no (available|healthy) (capacity|workers?|instances?|upstream)",
    ),
    Saying("overloaded", "error reference of Z.AI, 2026-11-22", codes=("1305",)),
    # A limit
    Saying(
        "limited",
        "error references of OpenAI, Anthropic, Moonshot, Google, AWS and Volcengine, 2026-11-22",
        codes=(
            "rate_limit_exceeded",
            "rate_limit_error",
            "rate_limit_reached_error",
            "rate_limited",
            "throttlingexception",
            "throttling",
            "ratelimitexceeded",
            "quotaexceeded",
            "resource_exhausted",
            "tokens_limit_reached",
            "too_many_requests",
            "servicequotaexceededexception",
        ),
        words=r"rate limit|too many requests|requests per (minute|second|day)|concurrency limit",
    ),
    Saying("limited", "error reference of Z.AI, 2026-11-22", codes=("1302", "1303", "1313")),
    Saying("limited", "error reference of MiniMax, 2026-11-22", codes=("1002", "2056"), shape="base_resp"),
    Saying("limited", "error reference of Cloudflare, 2026-11-22", codes=("3036", "3040"), shape="cloudflare"),
    # No such model
    Saying(
        "missing",
        "error references of OpenAI, Azure, Anthropic, Google and AWS, 2026-11-22",
        codes=(
            "model_not_found",
            "deploymentnotfound",
            "not_found_error",
            "not_found",
            "resourcenotfoundexception",
            "model_not_supported",
        ),
        words=r"model .{0,80}(does not exist|not found|is not available|not supported|no longer)|unknown model",
    ),
    Saying(
        "missing",
        "ConardLi/easy-dataset#9, 2025-03-13; langbot-app/LangBot#1643, 2025-09-02: DeepSeek, with 400",
        words=r"model not exist",
    ),
    Saying(
        "missing",
        "tmc/langchaingo#1233, 2025-04-23; mistralai/mistral-vibe#617, 2026-04-21: Mistral, with 400",
        codes=("invalid_model",),
        words=r"invalid model(:| id\b| name\b)",
    ),
    Saying(
        "missing",
        "RooCodeInc/Roo-Code#9182, 2025-11-12; iOfficeAI/AionCore#377, 2026-06-01: Bedrock, with 400",
        words=r"model identifier is invalid",
    ),
    Saying(
        "missing",
        "FlowiseAI/Flowise#4253, 2025-04-04; langchain-ai/langchain-aws#1019, 2026-04-28: Bedrock, with 400, of what "
        "is served by profiles alone",
        words=r"with on-demand throughput isn.{1,3}t supported",
    ),
    Saying(
        "missing",
        "HeyPuter/puter#3168, seen 2026-11-27: Together, with 400",
        codes=("model_not_available",),
        words=r"unable to access non-serverless model",
    ),
    Saying(
        "missing",
        "maxnowack/anthropic-proxy#4, 2025-05-15; continuedev/continue#10322, 2026-02-07: OpenRouter, with 400",
        words=r"not a valid model",
    ),
    Saying("missing", "error reference of Cloudflare, 2026-11-22", codes=("5007", "7000"), shape="cloudflare"),
    # Time
    Saying(
        "silent",
        "error references of Anthropic, AWS and Google, 2026-11-22",
        codes=("timeout_error", "modeltimeoutexception", "deadline_exceeded"),
    ),
    Saying("silent", "error reference of MiniMax, 2026-11-22", codes=("1001",), shape="base_resp"),
    Saying(
        "unavailable",
        "error reference of MiniMax, 2026-11-22",
        codes=("1000", "1013", "1024", "1033"),
        shape="base_resp",
    ),
    # What Responses says of the request; these are codes of our contract as well, and passed on as they are
    Saying(
        "rejected",
        "openai-python 2.54.0, types/responses/response_error.py, 2026-11-22",
        codes=(
            "invalid_image",
            "invalid_image_format",
            "invalid_base64_image",
            "invalid_image_url",
            "invalid_image_mode",
            "image_too_large",
            "image_too_small",
            "image_parse_error",
            "image_file_too_large",
            "image_file_not_found",
            "unsupported_image_media_type",
            "empty_image_file",
            "failed_to_download_image",
        ),
    ),
    Saying(
        "refused",
        "openai-python 2.54.0, types/responses/response_error.py, 2026-11-22",
        codes=("image_content_policy_violation", "bio_policy", "cyber_policy", "misalignment_policy_violation"),
    ),
    Saying(
        "rejected",
        "openai/codex#38849, 2026-08-16; MDX-Tom/gpt-instruct#56, 2026-08-20: of a prompt that breaks a policy; that "
        "it is said of one that is too long is unverified",
        codes=("invalid_prompt",),
        yields_to="words",
    ),
    # Codes that are said of other things too
    Saying(
        "credentials",
        "error references of Anthropic, Google and AWS, 2026-11-22; also said of a prompt that may not be",
        codes=("permission_error", "permission_denied", "accessdeniedexception"),
        yields_to="words",
    ),
    Saying(
        "rejected",
        "agentscope-ai/QwenPaw#1873, 2026-03-19; MiniMax-AI/MiniMax-M2#119, 2026-05-04: any parameter, and an input "
        "that is too long",
        codes=("2013",),
        shape="base_resp",
        yields_to="words",
    ),
    Saying(
        "rejected",
        "error references of OpenAI, Google and AWS, 2026-11-22",
        codes=(
            "invalid_request_error",
            "invalid_argument",
            "validationexception",
            "failed_precondition",
            "bad_request",
        ),
        yields_to="status",
    ),
    Saying("nonsense", "error reference of Groq, 2026-11-22", codes=("tool_use_failed",), yields_to="status"),
    # Statuses
    Saying(
        "credentials",
        "theopenco/llmgateway#1785, 2026-03-03: a 403 is our key's only if it says so",
        words=r"\bapi[ _-]?key\b|credential|authenticat|unauthori[sz]ed|\bpermissions?\b",
        statuses=(403,),
    ),
    Saying("credentials", "RFC 9110 15.5.2; error reference of DeepSeek, 2026-11-22", statuses=(401, 402)),
    Saying("credentials", "error reference of Cohere, 2026-11-22", statuses=(498,), shape="cohere"),
    Saying("denied", "theopenco/llmgateway#1785, 2026-03-03", statuses=(403,)),
    Saying("missing", "RFC 9110 15.5.5 and 15.5.11", statuses=(404, 410)),
    Saying("silent", "RFC 9110 15.5.9 and 15.6.5; Cloudflare's 524", statuses=(408, 504, 524)),
    Saying("too_large", "RFC 9110 15.5.14: of bytes, where it says nothing of tokens", statuses=(413,)),
    Saying("unprocessable", "RFC 9110 15.5.21", statuses=(422,)),
    Saying("limited", "RFC 6585 4; error reference of Groq, 2026-11-22", statuses=(429, 498)),
    Saying("overloaded", "RFC 9110 15.6.4; error reference of Anthropic, 2026-11-22", statuses=(423, 425, 503, 529)),
    Saying("unavailable", "error reference of Groq, 2026-11-22; Cloudflare's 522", statuses=(424, 499, 522)),
)

_Codes = dict[str, FaultKind]


def kind_of_code(codes: tuple[str, ...], shape: ErrorShape, yields_to: str) -> FaultKind | None:
    """The kind that the first known of these codes tells, among those that yield to the same; a dotted code is several.

    What a code means to its shape goes before what it means to all.
    """
    own, common = _CODES.get((shape, yields_to), {}), _CODES.get((None, yields_to), {})
    for code in codes:
        for name in (code, *code.split(".")):
            if kind := own.get(name) or common.get(name):
                return kind
    return None


def kind_of_words(message: str, status: int | None) -> FaultKind | None:
    """The kind that the words of a message tell."""
    is_server = status is not None and status >= 500
    for pattern, statuses, kind in _WORDS:
        if (status in statuses if statuses else not is_server) and pattern.search(message):
            return kind
    return None


def kind_of_status(status: int, shape: ErrorShape) -> FaultKind:
    """The kind that a status tells by itself."""
    known = _STATUSES.get((shape, status)) or _STATUSES.get((None, status))
    return known or ("rejected" if 400 <= status < 500 else "unavailable")


def _by_code() -> dict[tuple[ErrorShape | None, str], _Codes]:
    found: dict[tuple[ErrorShape | None, str], _Codes] = {}
    for row in SAYINGS:
        for code in row.codes:
            found.setdefault((row.shape, row.yields_to), {}).setdefault(code, row.kind)
    return found


_CODES: Final = _by_code()
_WORDS: Final = tuple((re.compile(row.words, re.IGNORECASE), row.statuses, row.kind) for row in SAYINGS if row.words)
_STATUSES: Final = {(row.shape, status): row.kind for row in SAYINGS if not row.words for status in row.statuses}

"""What can go wrong between us and a model host, each with what to do about it."""

from __future__ import annotations


class HostError(Exception):
    """Base of all. `str(error)` is a sentence for a person; `advice` says what to do."""

    advice = ""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice or self.advice


class HostUnreachable(HostError):
    """Nobody answers, or the connection broke."""

    advice = "start it with: backtrail host"


class HostNotAllowed(HostError):
    """The address is neither loopback nor allow-listed. Nothing was sent."""

    advice = "add the host to model.allowHosts in your editor's settings if prompts may go there"


class HostRefused(HostError):
    """The host answered with an error. `retry_after_s` is set when it asked us to come later, `param`
    when it named the field that it does not like."""

    def __init__(
        self,
        status: int,
        message: str,
        advice: str = "",
        *,
        retry_after_s: float | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message, advice)
        self.status = status
        self.retry_after_s = retry_after_s
        self.param = param


class PromptTooLong(HostRefused):
    """The prompt and the answer asked for do not fit the model's context. The code in it is never cut."""

    advice = (
        "ask a model with a longer context (model.baseUrl, backtrail host --model), or split the function"
    )


class HostConfused(HostError):
    """The host answered, but not in the OpenAI wire format."""

    advice = "check that base_url points to an OpenAI-compatible server (it usually ends in /v1)"


class NotSupported(HostError):
    """The server and the model cannot do what was asked, and it cannot be made up for here."""

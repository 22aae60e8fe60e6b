"""Headers that restrict what the dashboard's answers may do in a browser."""

import re

from search.dashboard.wsgi import Answer, Environ, Handler, path_of

__all__ = ["confined"]

NO_FRAMES = "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
ALWAYS = (
    ("Server", "cifar-search"),  # without versions
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
SHOWN_INLINE = re.compile(r"(?:image/(?!svg)|audio/|video/)[a-z0-9.+-]+", re.IGNORECASE)


def confined(handle: Handler) -> Handler:
    """Wrap `handle` so that its answers tell the browser what not to do with them.

    Only the dashboard's own page runs scripts; it has a content security policy of its own. Everything
    else that could be opened as a page, above all an artifact, which can be any file, is in a
    sandbox: its scripts don't run, and it does not belong to this site. An artifact that is not an
    image, sound or video is offered for saving instead of opening (an SVG image can contain scripts).
    No page can be framed by another one.
    """

    def confine(environ: Environ) -> Answer:
        answer = handle(environ)
        answer = answer.having(*ALWAYS)
        own = answer.header("Content-Security-Policy")
        if own:
            answer = answer.having(("Content-Security-Policy", f"{own}; {NO_FRAMES}"))
        elif not path_of(environ).startswith("/api/"):  # declared as JSON
            answer = answer.having(("Content-Security-Policy", "sandbox"))
        if not path_of(environ).startswith("/artifacts/"):
            return answer
        # optuna-dashboard allows every site to read artifacts.
        headers = [one for one in answer.headers if one[0] != "Access-Control-Allow-Origin"]
        answer = Answer(answer.status, headers, answer.body)
        if answer.code == 200 and not SHOWN_INLINE.fullmatch(answer.header("Content-Type")):
            # Without a name here the browser uses the link's.
            return answer.having(("Content-Disposition", "attachment"))
        return answer

    return confine

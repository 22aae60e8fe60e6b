"""What the dashboard's answers may do in a browser: nothing that they need not."""

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
SEEN_AND_HEARD = re.compile(r"(?:image/(?!svg)|audio/|video/)[a-z0-9.+-]+", re.IGNORECASE)


def confined(handle: Handler) -> Handler:
    """`handle`, whose answers tell the browser what not to do with them.

    Only the page of the dashboard itself runs scripts; it is the one that has a content security policy
    of its own. What else could be opened as a page, above all an artifact, which can be any file, is in
    a sandbox: its scripts don't run, and it is not of this site. An artifact that is not a
    image, sound or film is moreover to be saved and not to be opened (an SVG image can have scripts).
    No page is shown in a frame of another one.
    """

    def confine(environ: Environ) -> Answer:
        answer = handle(environ)
        answer = answer.having(*ALWAYS)
        own = answer.header("Content-Security-Policy")
        if own:
            answer = answer.having(("Content-Security-Policy", f"{own}; {NO_FRAMES}"))
        elif not path_of(environ).startswith("/api/"):  # what is there is JSON, and so it says
            answer = answer.having(("Content-Security-Policy", "sandbox"))
        if not path_of(environ).startswith("/artifacts/"):
            return answer
        # optuna-dashboard lets every site read artifacts.
        headers = [one for one in answer.headers if one[0] != "Access-Control-Allow-Origin"]
        answer = Answer(answer.status, headers, answer.body)
        if answer.code == 200 and not SEEN_AND_HEARD.fullmatch(answer.header("Content-Type")):
            # Without a name here the link's own is used.
            return answer.having(("Content-Disposition", "attachment"))
        return answer

    return confine

"""Commands that messages propose, written so that a shell reads them as they are meant."""

import shlex

__all__ = ["command_line"]

PROGRAM = "cifar-search"
ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def command_line(command: str, *arguments: object, flags: str = "", **options: object) -> str:
    """Return a command of this program that can be pasted into a shell.

    Every command that a message proposes is made here, so that a blank or a quote in a name cannot make
    another command of it.

    Args:
        command: The command, such as ``resume``.
        arguments: Its arguments; those that are None are left out.
        flags: Options that are quoted already, such as `where_flags` returns them.
        options: Further options by name, with underscores for dashes; None and False leave one out, True
            has no value.

    >>> command_line("train", "my runs/best-1.toml", seeds=3, train_images=None)
    "cifar-search train 'my runs/best-1.toml' --seeds 3"
    >>> command_line("status", "-x", watch=True)
    'cifar-search status --watch -- -x'
    """
    given = [quoted(one) for one in arguments if one is not None]
    named = flags.split(" ", 1)[1:] if flags.startswith(" ") else [flags] * bool(flags)
    for name, value in options.items():
        if value is None or value is False:
            continue
        option = f"--{name.replace('_', '-')}"
        named.append(option if value is True else f"{option} {quoted(value)}")
    if any(str(one).startswith("-") for one in arguments if one is not None):
        return " ".join([PROGRAM, command, *named, "--", *given])
    return " ".join([PROGRAM, command, *given, *named])


def quoted(value: object) -> str:
    r"""Return `value` as one word of a shell's command line, on one line of text.

    >>> print(quoted("a b"), quoted("two" + chr(10) + "lines"))
    'a b' $'two\nlines'
    """
    text = str(value)
    if text.isprintable():
        return shlex.quote(text)
    # What a terminal would obey is written in ANSI-C quotes, which bash, zsh, ksh and POSIX 2024 know.
    return f"$'{''.join(map(_escaped, text))}'"


def _escaped(character: str) -> str:
    if character in ESCAPES or character.isprintable():
        return ESCAPES.get(character, character)
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))

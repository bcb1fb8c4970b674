"""What a command says at its end, for a person."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape


def say(console: Console, what: str, where: object) -> None:
    """Print where something lies or what to type next: its name in bold, the rest as it is and unbroken."""
    console.print(f"[bold]{what:<11}[/bold] {escape(str(where))}", soft_wrap=True, highlight=False, emoji=False)

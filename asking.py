"""Asks again for a wrong answer at once: cookiecutter itself checks none before it has all."""

import sys
from typing import Any

from cookiecutter.prompt import (  # type: ignore[import-untyped]
    read_user_choice,
    read_user_variable,
)
from jinja2 import Environment

import parameters


def check(environment: Environment, answers: dict[str, Any]) -> None:
    """Check the last answer, if a person gives them; one that is given a second time is taken, and left to the hook.

    Args:
        environment: Cookiecutter's, of one run of prompts.
        answers: Cookiecutter's own: a better answer takes the place of the wrong one.
    """
    names = [name for name in answers if not name.startswith("_")]
    prompting = _prompting()
    if len(names) <= environment.answered or prompting.get("cookiecutter_dict") is not answers:  # type: ignore[attr-defined]
        return
    environment.answered = len(names)  # type: ignore[attr-defined]
    if prompting["no_input"]:
        return
    last, refused = names[-1], None
    while answers[last] != refused and (found := _problems(environment, answers, prompting)):
        refused = answers[last]
        print(*(f"  {each}" for each in found), sep="\n", flush=True)
        prompts = prompting["prompts"]
        if choices := parameters.CHOICES.get(last):
            answers[last] = read_user_choice(last, list(choices), prompts, "  ")
        else:
            better = next((each.suggestion for each in found if each.parameter == last), refused)
            answers[last] = read_user_variable(last, better, prompts, "  ")


def _problems(
    environment: Environment, answers: dict[str, Any], prompting: dict[str, Any]
) -> list[parameters.Problem]:
    """What is wrong with the answers so far, beside the defaults of those to come."""
    values = {**answers}
    context = prompting["context"]["cookiecutter"]
    # `make new` has some answers before it asks for the others.
    for name, source in (parameters.SOURCES | context | context.get("_answers", {})).items():
        if name in parameters.SOURCES and name not in answers:
            default = source[0] if isinstance(source, list) else source
            values[name] = environment.from_string(f"{default}").render(cookiecutter=values)
    return [each for each in parameters.problems(values) if each.parameter in answers]


def _prompting() -> dict[str, Any]:
    """What cookiecutter knows while it prompts, which no context has: it is read from its frame; empty otherwise."""
    frame = sys._getframe()
    while frame := frame.f_back:  # type: ignore[assignment]
        code = (frame.f_globals.get("__name__"), frame.f_code.co_name)
        if code == ("cookiecutter.prompt", "prompt_for_config"):
            return frame.f_locals
    return {}

"""The simulator: the same seed gives the same, ours is ahead, and a wrong file is told in one line."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path

import msgspec
import pytest

from passerby import settings
from passerby.matching import simulate
from passerby.matching.simulate import Times, policies
from passerby.matching.simulation import population
from passerby.matching.simulation.clock import SimulatedClock
from passerby.matching.simulation.guests import Character, Common, Turn, draw
from passerby.matching.simulation.house import House
from passerby.matching.simulation.measures import Measures, measure
from passerby.matching.simulation.policies import FirstCome
from passerby.matching.simulation.search import Search

DEFAULTS = settings.load({})
SMALL = msgspec.structs.replace(population.load("small"), begins=16)
SEEDS = (1, 2)
HOURS = 3.0
POLICIES = ("random", "first come", "interests only", "ours")


@cache
def searches_of(seed: int) -> dict[str, list[Search]]:
    """Return the searches of each policy, on an evening of the small house."""
    guests = draw(SMALL, seed, HOURS)
    found = {}
    for make in policies(DEFAULTS, [], seed):
        clock = SimulatedClock()
        policy = make(clock)
        found[policy.name] = House(SMALL.stays, policy, clock).run(guests)
    return found


@cache
def measured(seed: int, policy: str) -> Measures:
    return measure(policy, searches_of(seed)[policy])


def test_the_same_seed_gives_the_same(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def run(seed: str) -> tuple[str, str]:
        picture = tmp_path / "picture.svg"
        assert simulate.main(["tiny", "--hours", "4", "--seed", seed, "--plot", str(picture)]) == 0
        return capsys.readouterr().out, picture.read_text(encoding="utf-8")

    first = run("7")
    assert run("7") == first
    assert run("8") != first


@pytest.mark.parametrize("seed", SEEDS)
def test_ours_never_repeats_beside_somebody_who_would_do(seed: int) -> None:
    until_anyone = DEFAULTS.match_interests + DEFAULTS.match_language
    ours = [search for search in searches_of(seed)["ours"] if search.is_repeat]

    assert ours, "some are alone with whom they have met"
    assert [search.guest.id for search in ours if search.beside >= until_anyone] == []
    assert measured(seed, "random").repeats > len(ours), "two each"


@pytest.mark.parametrize("other", ["random", "first come"])
@pytest.mark.parametrize("seed", SEEDS)
def test_ours_is_ahead(seed: int, other: str) -> None:
    ours, theirs = measured(seed, "ours"), measured(seed, other)

    assert ours.language > theirs.language + 0.1
    assert ours.interest > theirs.interest + 0.1
    assert ours.talks > theirs.talks
    assert ours.new.mean <= 1.2 * theirs.new.mean


@pytest.mark.parametrize("policy", POLICIES)
def test_a_run_makes_sense(policy: str) -> None:
    searches = searches_of(1)[policy]

    assert {search.guest.id for search in searches} == {guest.id for guest in draw(SMALL, 1, HOURS)}
    for search in searches:
        if search.partner is None:
            assert search.waited == pytest.approx(search.turn.patience)
            continue
        assert search.waited <= search.turn.patience
        assert search.partner is not search
        assert search.partner.partner is search
        assert search.partner.ended == search.ended
        assert search.partner.guest.mode == search.guest.mode
    earlier: dict[str, Search] = {}
    for search in searches:
        before = earlier.get(search.guest.id)
        if before is not None:
            assert search.number == before.number + 1
            assert search.began >= before.ended + before.talked
        earlier[search.guest.id] = search


def character(name: str, arrives: float, *words: str, language: str = "en", searches: int = 1) -> Character:
    """A guest who stays as long as the median, searches for a minute, and comes back after two seconds."""
    turn = Turn(patience=60.0, pause=2.0, mood=1.0, haste=1.0, warmth=0.0)
    return Character(name, arrives, "text", (language,), words, tuple(range(1, len(words) + 1)), (turn,) * searches)


def first_come(*guests: Character) -> list[Search]:
    clock = SimulatedClock()
    return House(SMALL.stays, FirstCome(), clock).run(guests)


def test_two_meet_talk_part_and_meet_again() -> None:
    searches = first_come(character("a", 0.0, "chess", searches=2), character("b", 10.0, "chess", searches=2))
    length = SMALL.stays.interest.length

    assert [(search.guest.id, search.began, search.waited) for search in searches] == [
        ("a", 0.0, 10.0),
        ("b", 10.0, 0.0),
        ("b", 10.0 + length, 2.0),
        ("a", 12.0 + length, 0.0),
    ]
    assert [search.is_repeat for search in searches] == [False, False, True, True]
    assert {search.common for search in searches} == {Common.INTEREST}
    assert {search.talked for search in searches} == {length}


def test_the_measures_are_those_of_the_searches() -> None:
    found = measure(
        "first come",
        first_come(
            character("a", 0.0, "chess"),
            character("b", 10.0, "tea"),  # meets a
            character("c", 20.0, "chess"),  # is alone, but a was there before
            character("d", 100.0, "tea"),
            character("e", 110.0, "tea", language="de"),  # meets d
        ),
    )

    assert found.waits.searches == 5
    assert found.waits.given_up == pytest.approx(1 / 5)
    assert found.waits.median == 10.0
    assert found.waits.mean == pytest.approx((10 + 0 + 60 + 10 + 0) / 5)
    assert found.new == found.waits
    assert found.language == pytest.approx(1 / 2)
    assert found.interest == 0.0, "c came within the patience of a"
    assert found.curve[0] == pytest.approx(2 / 5)
    assert found.curve[10] == pytest.approx(4 / 5)


def test_a_needless_repeat_is_counted() -> None:
    a, b = character("a", 0.0, searches=2), character("b", 1.0, searches=2)
    parted = 1.0 + SMALL.stays.language.length
    alone = measure("first come", first_come(a, b))
    beside = measure("first come", first_come(a, b, character("c", parted + 1)))

    assert (alone.repeats, alone.needless) == (1, 0)
    assert beside.repeats == 0, "a has met c, who came first"

    clock = SimulatedClock()
    needless = measure("last come", House(SMALL.stays, LastCome(), clock).run([a, b, character("c", parted + 1)]))
    assert (needless.repeats, needless.needless) == (1, 1)


class LastCome(FirstCome):
    """Lets c wait and takes whom it knows."""

    def enter(self, search: Search) -> Search | None:
        if search.guest.id == "c":
            return None
        return super().enter(search)

    def leave(self, search: Search) -> None:
        if search.guest.id != "c":
            super().leave(search)


def test_the_picture_is_well_formed(tmp_path: Path) -> None:
    picture = tmp_path / "picture.svg"
    assert simulate.main(["tiny", "--hours", "0.01", "--plot", str(picture)]) == 0, "nobody has come"
    assert ET.parse(picture).getroot().tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - our own


def test_the_times_of_ours_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate.main(["tiny", "--hours", "1", "--ours", "1/2/3/4", "--ours", "5/6/7/8.5"]) == 0
    assert "| ours 1/2/3/4 | ours 5/6/7/8.5 |" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--ours", "1/2/3", "must be four numbers, such as 4/6/15/30"),
        ("--ours", "1/2/3/x", "must be four numbers, such as 4/6/15/30"),
        ("--ours", "1/2/3/-4", "each must be from 0 to 3600"),
        ("--ours", "1/2/3/nan", "each must be from 0 to 3600"),
        ("--hours", "0", "must be above 0, and at most 1000"),
    ],
)
def test_wrong_flags_are_refused(flag: str, value: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        simulate.main([flag, value])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_picture_that_cannot_be_written_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate.main(["tiny", "--hours", "1", "--plot", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"simulate: {tmp_path}: Is a directory\n"


def test_a_wrong_setting_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MATCH_AGAIN", "soon")
    assert simulate.main(["tiny"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("simulate: MATCH_AGAIN='soon': ")


@pytest.mark.parametrize("name", population.names())
def test_the_populations_can_be_drawn(name: str) -> None:
    people = population.load(name)
    assert len(draw(people, 1, 0.25)) == len(draw(people, 1, 0.25)) > 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("per_hour = 200", "per_hour = 'many'", "Expected `float`, got `str` - at `$.arrivals.per_hour`"),
        ("per_hour = 200", "per_hour = 0", "Expected `float` > 0.0 - at `$.arrivals.per_hour`"),
        ("per_hour = 200", "per_hour = nan", "Expected `float` > 0.0 - at `$.arrivals.per_hour`"),
        ("exponent = 1.0", "exponent = nan", "Expected `float` >= 0.0 - at `$.interests.exponent`"),
        ("exponent = 1.0", "exponent = inf", "Expected `float` <= 5.0 - at `$.interests.exponent`"),
        ("by_hour = [6,", "by_hour = [", "Expected `array` of length >= 24 - at `$.arrivals.by_hour`"),
        ("{ en = 40, es = 25, pt = 18, de = 11, tr = 6 }", "{ en = 0 }", "a weight above 0 - at `$.languages.weights`"),
        ("words = 500", "", "Object missing required field `words` - at `$.interests`"),
        ("words = 500", "words = 500\nword = 1", "Object contains unknown field `word` - at `$.interests`"),
        ("text = 80", "telepathy = 80", "Invalid enum value 'telepathy' - at `key` in `$.modes`"),
        ("[arrivals]", "[arrivals", "(at line"),
    ],
)
def test_a_wrong_population_is_told_in_one_line(
    old: str, new: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (population.FOLDER / "small.toml").read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "mine.toml"
    file.write_text(text.replace(old, new), encoding="utf-8")

    assert simulate.main([str(file)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"simulate: {file}: ")
    assert said in line


def test_a_population_that_is_not_there_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate.main(["nowhere.toml"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "simulate: nowhere.toml: No such file or directory (known by name: busy, small, tiny)"


def test_the_document_has_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate.main(["tiny"]) == 0
    _, table = capsys.readouterr().out.split("\n\n")
    document = Path(__file__).parents[2] / "docs" / "matching.md"
    assert f"<!-- simulate tiny -->\n\n{table}\n<!-- /simulate -->" in document.read_text(encoding="utf-8")


def test_the_times_are_those_of_the_settings() -> None:
    chosen = (DEFAULTS.match_interests, DEFAULTS.match_language, DEFAULTS.match_again, DEFAULTS.match_fair)
    by_hand = simulate.simulate(SMALL, policies(DEFAULTS, [Times._make(chosen)], 1), seed=1, hours=1.0)[-1]
    by_settings = simulate.simulate(SMALL, policies(DEFAULTS, [], 1), seed=1, hours=1.0)[-1]

    assert by_hand.waits == by_settings.waits

"""British spelling by rules: what changes, what stays, and the case of the letters."""

import pytest

from pipeline.evaluation.british import _BY_WORD, british

# Words that a rule could take for American ones.
STAY = """
    humorous glamorous vigorous honorary laborious coloration collaborate elaborate laboratory favela flora oral motor
    doctor minor sailor tailor mirror error terror actor floor door for decor liquor interior outdoor visitor
    size sized sizes oversized prize prizes seize seized capsize maize citizen horizon pizza wizard bizarre breeze
    rise advise surprise exercise service promise noise otherwise
    meter water after better dinner server waiter order number letter later winter sister quarter enter
    feeling dealing failed boiled peeled detailed smiled cooler dealer excellent propeller called filled selling
    dog blog frog fog defensive offensive sense license expensive check tire story program metal petal canal
"""


@pytest.mark.parametrize(
    ("american", "expected"),
    [
        ("favorite favorites color colored", "favourite favourites colour coloured"),
        ("flavor flavorful flavorless", "flavour flavourful flavourless"),
        ("neighborhood neighbors savory unsavory honorable", "neighbourhood neighbours savoury unsavoury honourable"),
        ("discolored behavior labor armory favorably", "discoloured behaviour labour armoury favourably"),
        ("center centers theater liter fiber caliber", "centre centres theatre litre fibre calibre"),
        ("realize realized realizing realization organizer", "realise realised realising realisation organiser"),
        ("appetizer unappetizing apologizes recognizable", "appetiser unappetising apologises recognisable"),
        ("analyze paralyzed", "analyse paralysed"),
        ("traveled traveling traveler canceled remodeled", "travelled travelling traveller cancelled remodelled"),
        ("counselor unrivaled initialed", "counsellor unrivalled initialled"),
        ("catalog dialogs cataloged", "catalogue dialogues catalogued"),
        ("gray cozy yogurt specialty omelet jewelry", "grey cosy yoghurt speciality omelette jewellery"),
    ],
)
def test_american_words_become_british_in_any_case(american: str, expected: str) -> None:
    assert british(american) == expected
    assert british(american.upper()) == expected.upper()
    assert british(american.title()) == expected.title()


def test_words_that_are_spelled_alike_stay() -> None:
    assert british(STAY) == STAY


def test_british_words_stay() -> None:
    text = " ".join(_BY_WORD.values())
    assert british(text) == text


@pytest.mark.parametrize("text", ["", "coLor", "My MacColor", "Café Bücher カラー", "пицца"])
def test_other_words_and_mixed_case_stay(text: str) -> None:
    assert british(text) == text


def test_marks_and_spaces_stay() -> None:
    assert british("The color's (gray)...\nCENTER-CUT!") == "The colour's (grey)...\nCENTRE-CUT!"

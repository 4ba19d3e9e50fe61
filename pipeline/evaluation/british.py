"""American spelling made British, word by word: colour, centre, realise, travelled."""

import re
from functools import lru_cache

# British spelling has -our before these endings alone: humorous, honorary and collaborate stay.
_OUR = """
    ardo armo behavio cando clamo colo demeano endeavo favo fervo flavo glamo harbo hono humo labo neighbo odo parlo
    ranco rigo rumo savio savo splendo tumo valo vapo vigo
"""
_AFTER_OUR = "s|ed|ing|ings|er|ers|ful|fully|less|able|ably|ite|ites|itism|hood|hoods|ly|y|al|ally"
_RE = "amphitheat calib cent centimet epicent fib kilomet lit lust meag millimet sab somb spect theat"
# Verbs that end in -ize beyond doubt: size, prize, seize and capsize stay.
_ISE = """
    agon antagon apolog appet author brutal capital caramel categor central character civil colon commercial critic
    crystall custom demon deodor digit dramat econom emphas energ epitom equal familiar fantas fertil final formal
    general global harmon homogen hospital human hypnot hypothes ideal idol immortal immun individual initial internal
    item jeopard legal liberal local magnet marginal material maxim mechan memor mesmer minim mobil modern moistur
    monopol motor national neutral normal notar optim organ ostrac oxid pasteur patron penal personal polar popular
    pressur priorit public pulver random rational real recogn regular revolution sanit satir scrutin sensit social
    special stabil standard steril stigmat subsid summar symbol sympath synchron synthes tantal tender terror theor
    traumat trivial urban util vandal vapor verbal victim visual vital weather winter
"""
_DOUBLED = """
    barrel bevel cancel channel chisel counsel dial equal fuel funnel gravel grovel initial jewel label level libel
    marvel model panel pedal quarrel ravel revel rival shovel signal snorkel spiral swivel total towel travel tunnel
"""
# Words that no rule makes; those with a second sense that is spelled alike in both (check, meter, tire) stay.
_ALONE = """
    aging:ageing aluminum:aluminium anesthesia:anaesthesia anesthetic:anaesthetic artifact:artefact artifacts:artefacts
    centered:centred centering:centring cozier:cosier coziest:cosiest coziness:cosiness cozy:cosy defense:defence
    defenses:defences diarrhea:diarrhoea enroll:enrol enrollment:enrolment fulfill:fulfil fulfillment:fulfilment
    gray:grey grays:greys grayish:greyish grueling:gruelling gynecologist:gynaecologist installment:instalment
    installments:instalments jewelry:jewellery licorice:liquorice maneuver:manoeuvre maneuvers:manoeuvres
    marvelous:marvellous marvelously:marvellously mold:mould moldy:mouldy mustache:moustache offense:offence
    offenses:offences omelet:omelette omelets:omelettes orthopedic:orthopaedic pajama:pyjama pajamas:pyjamas
    pediatric:paediatric pediatrician:paediatrician plow:plough plowed:ploughed pretense:pretence skeptic:sceptic
    skeptical:sceptical skillful:skilful skillfully:skilfully smolder:smoulder smoldering:smouldering
    specialties:specialities specialty:speciality willful:wilful woolen:woollen yogurt:yoghurt yogurts:yoghurts
"""


def _one_of(stems: str) -> str:
    return f"(?:{'|'.join(stems.split())})"


_BY_WORD = dict(pair.split(":") for pair in _ALONE.split())
_RULES = [
    (re.compile(pattern), british)
    for pattern, british in (
        (rf"((?:be|dis|mis|multi|un|water)?{_one_of(_OUR)})(r(?:{_AFTER_OUR})?)", r"\1u\2"),
        (rf"({_one_of(_RE)})er(s?)", r"\1re\2"),
        (rf"((?:de|dis|over|re|un)?{_one_of(_ISE)}i)z(e|es|ed|ing|er|ers|able|ation|ations)", r"\1s\2"),
        (r"((?:anal|catal|paral)y)z(e|es|ed|ing|er|ers)", r"\1s\2"),
        (rf"((?:re|un)?{_one_of(_DOUBLED)})(ed|ing|ings|er|ers|or|ors)", r"\1l\2"),
        (r"((?:anal|catal|dial)og)(s?)", r"\1ue\2"),
        (r"(catalog)(ed|ing)", r"\1u\2"),
    )
]


def british(text: str) -> str:
    """Return an English text with British spelling; the case of each word stays.

    Words alone are looked at: a name that is spelled like an American word changes, too.

    Examples
    --------
    >>> british("My FAVORITE color: gray. Traveled to the Center, realized the size!")
    'My FAVOURITE colour: grey. Travelled to the Centre, realised the size!'
    """
    return re.sub(r"[^\W\d_]+", lambda word: _british_word(word.group()), text)


@lru_cache(maxsize=2**14)
def _british_word(word: str) -> str:
    lower = word.lower()
    british = _BY_WORD.get(lower) or next(
        (match.expand(template) for rule, template in _RULES if (match := rule.fullmatch(lower))), lower
    )
    for case in (str.lower, str.capitalize, str.upper):
        if word == case(lower):
            return case(british)
    return word

"""The word lists: words too common to be keywords, and words that set the tone."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP_WORDS: dict[str, frozenset[str]] = {
    language: _words(words)
    for language, words in {
        "en": """a about above after again all also am an and any are aren't as at be because been
            before being below between both but by can can't cannot could did didn't do does
            doesn't doing don't down during each either else even every few for from further get
            had has have having he her here hers him his how however i i'm if in into is isn't it
            it's its just let like made make many may me might more most much must my no nor not
            now of off often on once one only or other our out over own per same she should since
            so some such than that that's the their them then there these they this those through
            to too two under until up upon us use used using very was wasn't we were what when
            where whether which while who whom why will with within without won't would you you're
            your""",
        "de": """aber alle allem allen aller alles als also am an andere anderen auch auf aus bei
            beim bin bis bist da dabei dadurch damit dann daran darauf das dass dazu dem den denn
            der des deshalb die dies diese diesem diesen dieser dieses doch dort du durch ein eine
            einem einen einer eines er es etwa etwas euch für gegen hat hatte haben hier ich ihm
            ihn ihr ihre ihrem ihren im in indem ins ist ja jede jedem jeden jeder jedes jedoch
            kann kein keine können man mehr mein mit muss müssen nach nicht noch nun nur ob oder
            ohne schon sehr sein seine sich sie sind so sollte sondern über um und uns unter vom
            von vor war waren was weil welche wenn wer werden wie wieder wir wird wo wurde wurden
            zu zum zur zwei zwischen""",
        "es": """a al algo algunos ante antes aquí así aunque bajo bien cada como con contra cual
            cuando de del desde donde dos durante e el ella ellas ellos en entre era eran es esa
            ese eso esta estas este esto estos está están fue fueron ha hace hacia han hasta hay la
            las le les lo los más me mi mientras muy nada ni no nos nosotros o os otra otro otros
            para pero poco por porque puede pueden pues que quien qué se sea según ser si sido sin
            sobre son su sus sí también tan tanto te tiene tienen toda todas todo todos tras tu un
            una unas uno unos y ya yo""",
        "fr": """à ainsi alors au aucun aussi autre autres aux avant avec avoir c'est car ce cela
            ces cet cette ceux chaque chez ci comme comment d'un d'une dans de depuis des deux doit
            donc dont du elle elles en encore entre est et été être fait il ils j'ai je jusqu l'on
            la le les leur leurs lors lui là ma mais me même mes moins mon n'est ne ni non nos
            notre nous on ont ou où par parce pas pendant peu peut peuvent plus plusieurs pour
            pourquoi près qu'il qu'un quand que quel quelle quelques qui sa sans se selon ses si
            soit son sont sous sur ta tandis te tel tous tout toute toutes très tu un une vers vos
            votre vous y""",
    }.items()
}
"""For each language the words that most texts in it have."""

POSITIVE = _words(
    """accurate advantage beautiful benefit benefits best better clean clear comfortable convenient
    delight easy effective efficient elegant enjoy excellent fast fortunately friendly gain glad
    good great happy helpful ideal impressive improve improved improvement improves love lovely
    nice perfect pleasant popular positive powerful praise reliable robust safe simple smooth
    stable strong succeed success successful support useful valuable well win wonderful"""
)
NEGATIVE = _words(
    """annoying awful bad break broken bug bugs confusing crash crashes damage danger dangerous
    difficult disadvantage error errors expensive fail failed fails failure fear hard harm harmful
    hate hurt ineffective inefficient insecure lose loss mistake negative never painful poor
    problem problems risk risks risky sad serious severe slow terrible threat trouble ugly unclear
    unfortunately unreliable unsafe unstable useless vulnerable weak worse worst wrong"""
)
"""English words of the word-list sentiment."""

EVIDENCE = _words(
    """according benchmark benchmarks data demonstrated demonstrates evidence experiment
    experiments figures found measured measurement measurements observed observation percent proof
    proved proven report reported research result results sample shown shows statistics studies
    study survey test tested tests"""
)
QUALIFIERS = _words(
    """about almost apparently appear appears approximately arguably around assume could generally
    guess largely likely mainly may maybe might mostly often partly perhaps possible possibly
    potentially presumably probably rather relatively roughly seem seems sometimes somewhat suggest
    suggests suppose tend tends typically unlikely usually"""
)
LINKS = frozenset(["http", "https", "doi", "arxiv"])
"""Words of the style score; it is English, too, but for the links."""

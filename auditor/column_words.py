"""The words by which columns and their values are recognised: English and German, and the commonest of five others.

Names are matched as :func:`plain` spells them: lower case, single underscores, ``ä`` as ``ae``. Values are matched as
:func:`folded` spells them: the same, with blanks. Every pattern is matched whole.
"""

from __future__ import annotations

import re
import unicodedata

_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ẞ": "SS"})

#: Name rules, tried in this order: the role, and its words in each language.
ROLES: tuple[tuple[str, str, str], ...] = (
    (
        "identifier",
        r"e_?mail.*|(tele)?phone.*|mobile.*|ssn|social_security.*|tax_id.*|iban|passport.*|ip_address",
        r"telefon.*|handy.*|mobil(telefon|nummer|nr).*|steuer_?(id|nr|nummer|identifikations.*)"
        r"|(sozial|renten)versicherungs.*|(personal)?ausweis.*|reisepass.*",
    ),
    (
        "protected",
        r"(.*_)?(race|ethnicity|ethnic(_group|_origin)?|sex|gender|age(_(years|group|band|above_62))?|religion|colou?r)"
        r"(_observed)?(_[0-9])?",
        r"(.*_)?(geschlecht|alter(_in_jahren|_jahre|sgruppe|sklasse|sband)?|ethnie|ethnizitaet|ethnische_.*|hautfarbe"
        r"|religion(szugehoerigkeit)?|konfession|weltanschauung)",
    ),
    (
        "protected",
        r"(.*_)?(dob|birth_?(date|year)|date_of_birth|year_of_birth|disab(ility|led)|pregnan(t|cy)|veteran)",
        r"(.*_)?(geburts?_?(datum|tag|jahr)|geb_?(datum|dat|jahr)|(schwer)?behindert|(schwer)?behinderung"
        r"|schwanger(schaft)?)",
    ),
    (
        "protected",
        r"(.*_)?(national_origin|nationality|citizen(ship)?|foreign_worker|sexual_orientation)",
        r"(.*_)?(nationalitaet|staats(angehoerigkeit|buergerschaft)|herkunft(sland)?|geburtsland|auslaender(in)?"
        r"|migrationshintergrund|sexuelle_orientierung)",
    ),
    (
        "protected",
        r"(.*_)?(marital(_status)?|civil_status|married|public_assistance)|male|female|is_(male|female)",
        r"(.*_)?(familienstand|zivilstand|verheiratet|sozialhilfe|buergergeld)|maennlich|weiblich|ist_(maennlich|weiblich)",
    ),
    (
        "protected_proxy",
        r"((first|last|middle|full|applicant|customer|family|given)_)?name|surname|forename|salutation",
        r"(.*_)?(vor|nach|zu|familien|geburts|kunden|antragsteller)name|anrede",
    ),
    (
        "protected_proxy",
        r"(.*_)?(dependants?|dependents?|children|kids|dep|language|birth_?place|place_of_birth|maiden_name)",
        r"(.*_)?(kinder(_?(zahl|anzahl))?|unterhaltsberechtigte|(mutter)?sprache|geburtsort)",
    ),
    (
        "proxy",
        r"(.*_)?(zip(_?code)?|post_?code|postal(_code)?|census_tract|tract|neighbou?rhood|county|city|district)",
        r"(.*_)?(plz|postleitzahl|(wohn)?ort|stadt(teil|bezirk)?|(land)?kreis|gemeinde|bundesland|viertel)",
    ),
    (
        "proxy",
        r"(.*_)?(street|address|borough|block_group|latitude|longitude|minority_population|tract_.*)",
        r"(.*_)?(strasse|hausnummer|anschrift|adresse|breitengrad|laengengrad)",
    ),
)
#: The commonest names in French, Italian, Spanish, Portuguese and Dutch.
ROLES += (
    (
        "identifier",
        r"courriel|adresse_mail|correo(_electronico)?|codice_fiscale|nif|nie|dni|cpf|rg|bsn|n(umero)?_(de_)?securite_.*",
        r"cellulare|celular|movil|portable|telefoon.*",
    ),
    (
        "protected",
        r"(.*_)?(sexe|sesso|sexo|geslacht|genre|genere|genero|eta|edad|idade|leeftijd|raza|raca|razza|etnia|etniciteit)",
        r"(.*_)?(nationalite|nazionalita|nacionalidad|nacionalidade|nationaliteit|cittadinanza|religione?|religiao"
        r"|handicap|disabilita|discapacidad|deficiencia)",
    ),
    (
        "protected",
        r"(.*_)?(date_de_naissance|data_di_nascita|fecha_(de_)?nacimiento|data_(de_)?nascimento|geboortedatum)",
        r"situation_(familiale|matrimoniale)|etat_civil|stato_civile|estado_civil|burgerlijke_staat",
    ),
    ("protected_proxy", r"nom|prenom|nome|cognome|nombre|apellidos?|sobrenome|achternaam|voornaam", r"langue|lingua"),
    ("proxy", r"code_postal|cap|codigo_postal|cep|postcode|ville|citta|ciudad|cidade|woonplaats", r"comune|municipio"),
)
ID_NAMES = (
    r"(.*_)?(id|uuid|guid)|(application|applicant|loan|case|record|account|customer)_?(no|nr|number|key)"
    r"|row_number|index|nr|no"
    r"|(antrags?|antragsteller|kunden?|vertrags?|kredit|darlehens?|vorgangs?|fall|konto)_?(nr|nummer|kennung)"
    r"|lfd_nr|laufende_nummer|aktenzeichen|kennung"
    r"|(numero|num|n|no|code|codice|codigo|nummer)_((de|del|di|da|do)_)?"
    r"(dossier|client|contrat|demande|pratica|cliente|contratto|domanda|expediente|contrato|solicitud|proposta|klant)"
    r"|(dossier|klant|contract)_?(nr|nummer)"
)
#: What a lender decided, or how a loan went: the first that matches is the outcome, the others may give it away.
FAVOURABLE_NAMES = (
    r"(is_)?(approved?|approval|granted?|accept(ed)?|originated)|(ist_)?(genehmigt|bewilligt|zugesagt)"
    r"|(kredit)?(genehmigung|bewilligung|zusage)"
)
DENIED_NAMES = r"(is_)?(denied|denial|reject(ed)?|declined?)|(ist_)?abgelehnt|(kredit)?(ablehnung|absage)"
DEFAULT_NAMES = (
    r"(.*_)?(default(ed)?|delinquent|charged_off|bad|bad_loan)"
    r"|(.*_)?((zahlungs|kredit)?ausfall|ausgefallen|zahlungsverzug)"
)
OUTCOME_NAMES = (
    FAVOURABLE_NAMES,
    r"(final_|credit_|loan_|lender_)?decision|(kredit|antrags)?_?(entscheidung|entscheid)",
    r"(loan|application|approval|credit)_(status|outcome|result)|action_taken|(kredit|antrags)_?(status|ergebnis)",
    DENIED_NAMES,
    DEFAULT_NAMES,
    r"(.*_)?(esito|decisione|resolucion|decisao|resultado|besluit|beslissing|avis|accord|accorde|approvato|aprobado"
    r"|aprovado|concedido|concesso|goedgekeurd)",
    r"outcome|target|label|class|credit_risk|ergebnis|zielvariable|bonitaet",
    r"(denial|decline|rejection|refusal|adverse_action)_(reason|code)s?(_[0-9])?|reasons?_(for_)?(denial|decline)"
    r"|ablehnungs?gr(u|ue)nde?",
)
ADVERSE_NAMES = DENIED_NAMES + "|" + DEFAULT_NAMES
#: What an outcome says: one side, the other, or that there is none yet. Some data sets put "Status:" before it.
FAVOURABLE_VALUES = (
    r"(.*status: ?)?(approved?|accept(ed)?|granted|yes|y|true|loan originated|originated|fully paid|paid( off)?|repaid"
    r"|good|no default"
    r"|accordee?|acceptee?|approuvee?|oui|approvat[oa]|accettat[oa]|concess[oa]|aprobad[oa]|concedid[oa]|aceptad[oa]"
    r"|aprovad[oa]|deferid[oa]|si|sim|goedgekeurd|toegekend"
    r"|genehmigt|bewilligt|angenommen|zugesagt|zusage|ja|j|wahr|(voll ?staendig )?(zurueckgezahlt|getilgt)|gut|positiv)"
)
ADVERSE_VALUES = (
    r"(.*status: ?)?(denied|deny|application denied|reject(ed)?|declined?|refused?|no|n|false|charged[ -]off"
    r"|default(ed)?|bad"
    r"|refusee?|rejetee?|non|respint[oa]|rifiutat[oa]|negat[oa]|denegad[oa]|rechazad[oa]|negad[oa]|reprovad[oa]"
    r"|indeferid[oa]|recusad[oa]|nao|afgewezen|geweigerd"
    r"|abgelehnt|ablehnung|absage|abgesagt|verweigert|nein|falsch|ausgefallen|ausfall|schlecht|negativ)"
)
OPEN_VALUES = (
    r"(.*status: ?)?(current|in grace period|late.*|issued|pending|open|withdrawn.*|application withdrawn.*|in progress"
    r"|under review|incomplete.*|file closed.*"
    r"|approved but not accepted|approved not accepted|unknown|other|cancelled"
    r"|offen|laufend|in (bearbeitung|pruefung)|zurueckgezogen|storniert|unvollstaendig|unbekannt|sonstige[rs]?)"
)
GROUP_NAMES = {
    "white": "White", "black": "Black", "hispan": "Hispanic", "hispanic": "Hispanic", "latino": "Hispanic",
    "asian": "Asian", "native_american": "Native American",
}  # fmt: skip
#: Values that give a column away whatever its name is; at least two must occur and no other.
TELLING_VALUES = (
    {"male", "female", "man", "woman", "m", "f", "nonbinary", "other", "unknown"},
    {"maennlich", "weiblich", "mann", "frau", "herr", "m", "w", "d", "divers", "unbekannt", "keine angabe"},
    {
        "white", "black", "asian", "hispanic", "latino", "african american", "black or african american", "other",
        "native american", "american indian or alaska native", "native hawaiian or other pacific islander", "caucasian",
        "hispanic or latino", "unknown", "two or more races", "joint",
    },
    {"married", "single", "unmarried", "divorced", "widowed", "separated", "domestic partnership", "other", "unknown"},
    {"femme", "homme", "donna", "uomo", "mujer", "hombre", "mulher", "homem", "vrouw", "man", "femmina", "maschio",
     "femenino", "masculino", "feminino", "feminin", "masculin"},
    {
        "verheiratet", "ledig", "geschieden", "verwitwet", "getrennt", "getrennt lebend", "verpartnert",
        "eingetragene lebenspartnerschaft", "sonstige", "unbekannt",
    },
)  # fmt: skip
UNSPECIFIC = {"other", "unknown", "joint", "sonstige", "unbekannt", "keine angabe"}
YES_NO = ({"yes", "no"}, {"y", "n"}, {"true", "false"}, {"t", "f"}, {"ja", "nein"}, {"j", "n"}, {"wahr", "falsch"},
          {"oui", "non"}, {"si", "no"}, {"sì", "no"}, {"sí", "no"}, {"sim", "nao"}, {"sim", "não"}, {"ja", "nee"},
          {"vrai", "faux"}, {"vero", "falso"}, {"verdadero", "falso"}, {"はい", "いいえ"})  # fmt: skip
YES = ("yes", "y", "true", "t", "ja", "j", "wahr", "oui", "si", "sì", "sí", "sim", "vrai", "vero", "verdadero", "はい")
#: Two groups of a yes-or-no attribute: its column, what it is called, and what it is not.
PAIRS = (
    (r"(is_)?male", "male", "female"),
    (r"(is_)?female", "female", "male"),
    (r"(is_)?married", "married", "unmarried"),
    (r"(ist_)?maennlich", "männlich", "weiblich"),
    (r"(ist_)?weiblich", "weiblich", "männlich"),
    (r"(ist_)?verheiratet", "verheiratet", "unverheiratet"),
)
#: Whole numbers under these names are amounts, where those of other attributes are codes.
COUNTED = r"age|birth|year|alter|geb|jahr|(^|_)eta(_|$)|edad|idade|leeftijd|naissance|nascita|nacimiento|nascimento"


def plain(name: str) -> str:
    """A name as the rules see it: lower case, words joined by single underscores, letters without marks.

    >>> plain("KreditHöhe (EUR)"), plain("Staatsangehörigkeit"), plain("loanAmount")
    ('kredit_hoehe_eur', 'staatsangehoerigkeit', 'loan_amount')
    """
    return re.sub(r"[^0-9a-z]+", "_", _ascii(apart(name)).lower()).strip("_")


def folded(value: str) -> str:
    """A value as the rules see it: lower case, letters without marks, single blanks.

    >>> folded("  Vollständig  getilgt ")
    'vollstaendig getilgt'
    """
    return " ".join(_ascii(value).lower().split())


def apart(name: str) -> str:
    """A name with its words apart where only capitals part them."""
    return re.sub(r"(?<=[^\W\d_A-ZÄÖÜ])(?=[A-ZÄÖÜ])|(?<=[0-9])(?=[A-ZÄÖÜ])", "_", name.strip())


def role_of(name: str) -> str:
    """The role of a name as :func:`plain` gives it, by :data:`ROLES`; empty if no rule knows it."""
    return next((role for role, *words in ROLES if any(re.fullmatch(each, name) for each in words)), "")


def _ascii(text: str) -> str:
    shown = unicodedata.normalize("NFC", text).translate(_UMLAUTS)
    return "".join(each for each in unicodedata.normalize("NFKD", shown) if not unicodedata.combining(each))

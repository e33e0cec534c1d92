"""The words by which columns and their values are recognised: English and German, and the commonest of five others.

Names are matched as :func:`plain` spells them: lower case, single underscores, ``ä`` as ``ae``. Values are matched as
:func:`folded` spells them: the same, with blanks. Every pattern is matched whole.
"""

from __future__ import annotations

import re
import unicodedata

from auditor.look_alikes import as_latin
from auditor.short_names import spelled_out

#: Letters that fall into no letter and a mark over it.
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ẞ": "SS",
                          "ł": "l", "Ł": "L", "ø": "oe", "Ø": "Oe", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe",
                          "ı": "i", "đ": "d", "Đ": "D"})  # fmt: skip

#: Name rules, tried in this order: the role, and its words in each language.
ROLES: tuple[tuple[str, str, str], ...] = (
    (
        "identifier",
        r"(.*_)?(e_?mail(_?(address|addr|adr|id))?|(tele|cell|mobile|home|work)?_?phone(_?(no|nr|num|number))?(_[0-9])?"
        r"|mobile(_(no|nr|num|number))?|ssn(_.*)?|social_security.*|(tax|national|government)_id.*|tin|iban|passport.*"
        r"|ip_?addr(ess)?|driv(er|ing)s?_licen[cs]e.*|national_insurance.*|(credit_)?card_(no|nr|num|number))",
        r"telefon.*|handy.*|mobil(telefon|nummer|nr).*|steuer_?(id|nr|nummer|identifikations.*)"
        r"|(sozial|renten)versicherungs.*|(personal)?ausweis.*|reisepass.*",
    ),
    (
        "protected",
        r"(.*_)?(race(_ethnicity)?|ethnicity|ethnic(_group|_origin)?|ethn|sex|gender(_(identity|expression))?"
        r"|age(_(years|group|band|range|bracket|bucket|above_62))?|religion|creed|colou?r)(_observed)?(_[0-9])?",
        r"(.*_)?(geschl(echt)?|alter(_in_jahren|_jahre|sgruppe|sklasse|sband)?|ethnie|ethnizitaet|ethnische_.*|hautfarbe"
        r"|religion(szugehoerigkeit)?|konfession|weltanschauung)",
    ),
    (
        "protected",
        r"(.*_)?(dob|b_?day|birth_?(date|dt|day|year|yr)|(date|year|yr)_?of_?birth|disab(ility|led)|pregnan(t|cy)|veteran"
        r"|armed_forces|trade_union(_.*)?|political_(opinion|party))",
        r"(.*_)?(geburts?_?(datum|dat|tag|jahr)|geb|geb_?(datum|dat|tag|jahr)|(schwer)?behindert|(schwer)?behinderung"
        r"|schwanger(schaft)?)",
    ),
    (
        "protected",
        r"(.*_)?(national_origin|nationality|citizen(ship)?|foreign_worker|sexual_orientation|ancestry|transgender"
        r"|(country|place)_of_origin|country_of_birth|birth_country|immigration_status|native_language)",
        r"(.*_)?(nationalitaet|staats(angehoerigkeit|buergerschaft)|herkunft(sland)?|geburtsland|auslaender(in)?"
        r"|migrationshintergrund|sexuelle_orientierung)",
    ),
    (
        "protected",
        r"(.*_)?(marital(_?stat(us)?)?|mar_stat|civil_status|married|marriage|public_assistance)|male|female|is_(male|female)",
        r"(.*_)?(familienstand|zivilstand|verheiratet|sozialhilfe|buergergeld)|maennlich|weiblich|ist_(maennlich|weiblich)",
    ),
    (
        "protected_proxy",
        r"((.*_)?(first|last|middle|full|applicant|borrower|customer|client|family|given|maiden)_?)?name"
        r"|(.*_)?(surname|forename|salutation)",
        r"(.*_)?(vor|nach|zu|familien|geburts|kunden|antragsteller)name|anrede",
    ),
    (
        "protected_proxy",
        r"(.*_)?(dependants?|dependents?|children|kids|dep|language|birth_?place|place_of_birth|maiden_name)",
        r"(.*_)?(kinder(_?(zahl|anzahl))?|unterhaltsberechtigte|(mutter)?sprache|geburtsort)",
    ),
    (
        "proxy",
        r"(.*_)?(zip(_?code)?[0-9]?|post_?code|postal(_code)?|census_tract|tract|neighbou?rhood|county|city|district)",
        r"(.*_)?(plz[0-9]?|postleitz(ahl)?|(wohn)?ort|stadt(teil|bezirk)?|(land)?kreis|gemeinde|bundesland|viertel)",
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
        r"(.*_)?(date_de_naissance|data_di_nascita|fec(ha)?_(de_)?nac(imiento)?|ano_(de_)?nacimiento"
        r"|data_(de_)?nascimento|geboortedatum)",
        r"(.*_)?(situation_(familiale|matrimoniale)|etat_civil|stato_civile|(estado|edo)_civil|burgerlijke_staat)",
    ),
    (
        "protected_proxy",
        r"nom|prenom|nome|cognome|nombres?|(.*_)?apellidos?(_[0-9])?|sobrenome|achternaam|voornaam",
        r"langue|lingua|idioma|lengua(_materna)?",
    ),
    (
        "proxy",
        r"code_postal|cap|(codigo|cod)_postal|cep|postcode|ville|citta|ciudad|cidade|woonplaats|direccion|domicilio",
        r"comune|municipio|barrio|colonia|provincia",
    ),
)
#: The commonest names in the languages of Poland, Czechia, Slovakia, the North, Hungary, Romania, Turkey.
ROLES += (
    (
        "identifier",
        r"pesel|rodne_cislo|personnummer|cpr(_?nr)?|foedselsnummer|henkiloetunnus|hetu|cnp|tc_kimlik(_no)?|oib",
        r"(.*_)?((tax|national|identity|insurance|social|personal)_(no|nr|num|number|code))",
    ),
    (
        "protected",
        r"(.*_)?(plec|pohlavi[e]?|koen|kjoenn|sukupuoli|cinsiyet|spol|wiek|vek|alder|ikae|eletkor|varsta|yas)",
        r"(.*_)?(data_urodzenia|datum_naroz?eni[ae]?|foedelsedatum|foedselsdato|syntymaeaika|szueletesi_(datum|idoe?)"
        r"|szuletesi_(datum|ido)|data_nasterii|dogum_tarihi|obywatelstwo|narodowosc|obcanstvi|statni_prislusnost"
        r"|medborgarskap|nationalitet|statsborgerska[bp]|kansalaisuus|allampolgarsag|cetatenie|uyruk|stan_cywilny"
        r"|rodinny_stav|[cs]ivilstan[dt]|siviilisaeaety|csaladi_allapot|stare_civila|medeni_(hal|durum)|wyznanie"
        r"|nabozenstvi|uskonto|vallas)",
    ),
    (
        "protected_proxy",
        r"imie|nazwisko|(jmeno|prijmeni|imie)(_.*)?|foernamn|efternamn|fornavn|etternavn|efternavn|etunimi|sukunimi"
        r"|vezeteknev|keresztnev|prenume|soyadi?|adi_soyadi",
        r"modersmaal|jezyk_ojczysty|aidinkieli|ana_dili",
    ),
    ("proxy", r"kod_pocztowy|psc|postn(ummer|r)|postinumero|iranyitoszam|cod_postal|posta_kodu", r"miasto|mesto|ulica"),
)
#: Short names of people's attributes that only the whole name tells, and those of questions.
ROLES += (
    (
        "protected",
        r"caste|tribe|handicap(ped)?|birth|(.*_)?born(_on)?|how_old(_.*)?|lgbtq?i?|orient(ation)?|transgender"
        r"|(is_)?(hispanic|latin[aox]|hispanic_(or_)?latin[aox])",
        r"national|nationality|(.*_)?(marital|veteran|citizen(ship)?|disability|religion|pregnancy)_status|(.*_)?national_origin|(minority|wom[ae]n|veteran|lgbtq?i?)_owned(_.*)?"
        r"|(.*_)?(behinderungs?_?grad|grad_der_behinderung)|staatsang|familien_?stand",
    ),
    (
        "protected_proxy",
        r"civilite|civil_title|(.*_)?languages?(_(pref(erence|erred)?|spoken|read))?|geb_?ort|anzahl_kind(er)?",
        r"(.*_)?(middle|second|fathers?|mothers?)_?name",
    ),
    ("proxy", r"cp|plz_?ort|(.*_)?(home|mailing|billing|postal)_(address|zip(_?code)?)", r"postlt?z(ahl)?|postltzahl"),
)
#: Names in letters of other scripts, which :func:`plain` does not spell.
OTHER_SCRIPTS = {
    "protected": "性別 性别 성별 пол стать φύλο 年齢 年齡 年龄 나이 연령 возраст вік ηλικία 生年月日 出生日期 생년월일 "
    "дата_рождения дата_народження 国籍 國籍 국적 гражданство громадянство υπηκοότητα 民族 민족 национальность "
    "婚姻状況 婚姻状况 혼인상태 семейное_положение 宗教 종교 религия",
    "protected_proxy": "氏名 姓名 이름 성명 имя фамилия фио отчество όνομα επώνυμο язык",
    "proxy": "郵便番号 邮编 邮政编码 우편번호 почтовый_индекс 住所 地址 주소 адрес город",
    "identifier": "電話番号 电话 전화번호 телефон инн снилс",
}  # fmt: skip
PEOPLES_NAMES = (
    r"(.*_)?(.*name|nom|nome|cognome|nombres?|apellidos?(_[0-9])?|prenom|sobrenome|forename|imie|nazwisko|jmeno|prijmeni"
    r"|foernamn|efternamn|fornavn|etternavn|efternavn|etunimi|sukunimi|vezeteknev|keresztnev|prenume|soyadi?)(_.*)?"
)
#: What programs and people put behind a name, and whose it is; a name is looked up without them too.
TAILS = (
    r"_?(cds?|codes?|desc(r|ription)?|ind(icator)?|flag|m_f|f_m|m_w|w_m|y_n|cat(egory)?|grp|group|class|val(ue)?|txt|text|label|key|rpt|reported"
    r"|fla?g|yn|at_(app(l|lication)?|orig(ination)?|open(ing)?|decision|antrag)|[0-9]_digits?|under_[0-9]{1,2}"
    r"|kz|zug(ehoerigkeit)?|s?_?(kennz(eichen)?|schluessel|merkmal|gruppe|angabe)|cod(igo)?|codice|clave|[0-9]{1,2})"
)
WHOSE = (
    r"_((of|for|de|del|de_la|des|der|von|di|do|da)_)?(the_)?(co_?)?(applicant|borrower|customer|client|person|member|holder"
    r"|solicitante|cliente|titular|antragsteller|kunden?|kreditnehmer)s?"
)
#: Names that only sound as if they were somebody's: of things that have an age, a colour, a sex of their own.
OF_THINGS = (
    r"(.*_)?(accounts?|accts?|loans?|vehicles?|cars?|auto|property|house|home|building|credit|files?|trade_?lines?|business"
    r"|company|firm|relationship|employment|job|debt|policy|assets?|collateral|oldest|newest|record|report|equipment|machine"
    r"|products?|bureau|lines?|history|listing|invoice|device|phone|email|address|konto|kredit|fahrzeug|gebaeude|vertrags?"
    r"|objekts?|cuenta|coche|vivienda|credito)_(age|alter|colou?r|antiguedad|edad|farbe)(_.*)?"
)
#: What the policy packs call an attribute, and how columns of it are called.
ATTRIBUTES = (
    ("race", r"race|raza|raca|razza"),
    ("sex", r"sex|gender|geschl(echt)?|sexe|sesso|sexo|geslacht|genre|genere|genero"),
    ("age", r"age(_(years|group|band|range))?|alter(_in_jahren|_jahre|sgruppe|sklasse|sband)?|edad|idade|eta|leeftijd"),
    ("religion", r"religion(szugehoerigkeit)?|konfession|religione|religiao"),
    (
        "marital_status",
        r"marital(_?stat(us)?)?|mar_stat|marriage|civil_status|familienstand|zivilstand|(estado|edo)_civil|etat_civil"
        r"|stato_civile|burgerlijke_staat",
    ),
    (
        "nationality",
        r"nationalit(y|aet|e|eit)|staats(angehoerigkeit|buergerschaft)|nazionalita|nacionalida(d|de)|cittadinanza",
    ),
    ("national_origin", r"national_origin"),
    ("disability", r"disab(ility|led)|(schwer)?behinder(t|ung)|discapacidad|disabilita"),
)
#: Forms of address.
TITLES = {"mr", "mrs", "ms", "miss", "mx", "dr", "mr.", "mrs.", "ms.", "dr.", "sr", "sra", "sr.", "sra.", "don", "dona",
          "senor", "senora", "m.", "mme", "mlle", "monsieur", "madame"}  # fmt: skip
ID_NAMES = (
    r"(application|applicant|loan|case|record|account|customer)_ref(erence)?(_?(id|no|nr|number))?"
    r"|(.*_)?(id|uuid|guid)|(application|applicant|loan|case|record|account|customer)_?(no|nr|number|key)"
    r"|row_number|index|nr|no"
    r"|(antrags?|antragsteller|kunden?|vertrags?|kredit|darlehens?|vorgangs?|fall|konto)_?(nr|nummer|kennung)"
    r"|lfd_nr|laufende_nummer|aktenzeichen|kennung"
    r"|(numero|num|n|no|code|codice|codigo|nummer)_((de|del|di|da|do)_)?"
    r"(dossier|client|contrat|demande|pratica|cliente|contratto|domanda|expediente|contrato|solicitud|proposta|klant)"
    r"|(dossier|klant|contract)_?(nr|nummer)"
)
#: What a lender decided, or how a loan went: the first that matches is the outcome, the others may give it away.
FAVOURABLE_NAMES = (
    r"(was|is|has|did)_(the_)?((loan|credit)_)?(application|loan|request|credit)_(been_|get_)?(approved|granted|accepted)"
    r"|(is_)?(approved?|approval|granted?|accept(ed)?|originated)|(ist_)?(genehmigt|bewilligt|zugesagt)"
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
    r"|aprovado|concedido|concesso|goedgekeurd|decyzja|rozhodnuti[ea]?|beslut(ning)?|paeaetoes|doentes|decizie|karar)",
    r"outcome|target|label|class|credit_risk|ergebnis|zielvariable|bonitaet",
    r"(denial|decline|rejection|refusal|adverse_action)_(reason|code)s?(_[0-9])?|reasons?_(for_)?(denial|decline)"
    r"|ablehnungs?gr(u|ue)nde?",
)
#: What stands behind the name of an outcome that is written as a code.
OUTCOME_TAILS = r"_(cds?|codes?|ind(icator)?|fla?g|yn|kz|kennz(eichen)?)"
ADVERSE_NAMES = DENIED_NAMES + "|" + DEFAULT_NAMES
#: What an outcome says: one side, the other, or that there is none yet. Some data sets put "Status:" before it.
FAVOURABLE_VALUES = (
    r"(.*status: ?)?(approved?|accept(ed)?|granted|yes|y|true|loan originated|originated|fully paid|paid( off)?|repaid"
    r"|good|no default"
    r"|accordee?|acceptee?|approuvee?|oui|approvat[oa]|accettat[oa]|concess[oa]|aprobad[oa]|concedid[oa]|aceptad[oa]"
    r"|aprovad[oa]|deferid[oa]|si|sim|goedgekeurd|toegekend"
    r"|appr?|apr|ap[pr]+ro?vd|favou?rable|conditional(ly)? approv(ed|al)|tak|evet"
    r"|genehmigt|bewilligt|angenommen|zugesagt|zusage|ja|j|wahr|(voll ?staendig )?(zurueckgezahlt|getilgt)|gut|positiv)"
)
ADVERSE_VALUES = (
    r"(.*status: ?)?(denied|deny|application denied|reject(ed)?|declined?|refused?|no|n|false|charged[ -]off"
    r"|default(ed)?|bad"
    r"|refusee?|rejetee?|non|respint[oa]|rifiutat[oa]|negat[oa]|denegad[oa]|rechazad[oa]|negad[oa]|reprovad[oa]"
    r"|indeferid[oa]|recusad[oa]|nao|afgewezen|geweigerd"
    r"|dec|decl|dcl|den|rej|unfavou?rable|defavorable|nie|hayir"
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
    {"soltero", "soltera", "casado", "casada", "divorciado", "divorciada", "viudo", "viuda", "union libre",
     "pareja de hecho", "separado", "separada", "otro"},
    {"celibataire", "marie", "mariee", "divorce", "divorcee", "veuf", "veuve", "pacse", "pacsee", "concubinage"},
    {"kobieta", "mezczyzna", "zena", "muz", "kvinna", "kvinde", "kvinne", "mand", "mann", "man", "nainen", "mies",
     "kadin", "erkek", "no", "ferfi", "femeie", "barbat", "inne", "annat"},
    {"男", "女", "男性", "女性", "その他", "남", "여", "남성", "여성", "м", "ж", "муж", "жен", "мужской", "женский"},
    {"catholic", "protestant", "muslim", "jewish", "hindu", "buddhist", "christian", "sikh", "none", "other", "atheist",
     "evangelisch", "katholisch", "roemisch-katholisch", "muslimisch", "juedisch", "konfessionslos", "sonstige"},
    {
        "verheiratet", "ledig", "geschieden", "verwitwet", "getrennt", "getrennt lebend", "verpartnert",
        "eingetragene lebenspartnerschaft", "sonstige", "unbekannt",
    },
)  # fmt: skip
UNSPECIFIC = {"other", "unknown", "joint", "sonstige", "unbekannt", "keine angabe"}
YES_NO = ({"yes", "no"}, {"y", "n"}, {"true", "false"}, {"t", "f"}, {"ja", "nein"}, {"j", "n"}, {"wahr", "falsch"},
          {"oui", "non"}, {"si", "no"}, {"sì", "no"}, {"sí", "no"}, {"sim", "nao"}, {"sim", "não"}, {"ja", "nee"},
          {"vrai", "faux"}, {"vero", "falso"}, {"verdadero", "falso"}, {"はい", "いいえ"}, {"tak", "nie"},
          {"ano", "ne"}, {"áno", "nie"}, {"igen", "nem"}, {"kyllä", "ei"}, {"evet", "hayır"}, {"да", "нет"},
          {"da", "nu"}, {"是", "否"}, {"예", "아니요"})  # fmt: skip
YES = (
    "yes", "y", "true", "t", "ja", "j", "wahr", "oui", "si", "sì", "sí", "sim", "vrai", "vero", "verdadero", "はい",
    "tak", "ano", "áno", "igen", "kyllä", "evet", "да", "da", "是", "예",
)  # fmt: skip
MOST_TAILS = 3
#: Two groups of a yes-or-no attribute: its column, what it is called, and what it is not.
PAIRS = (
    (r"(is_)?male", "male", "female"),
    (r"(is_)?female", "female", "male"),
    (r"(is_)?married", "married", "unmarried"),
    (r"(ist_)?maennlich", "männlich", "weiblich"),
    (r"(ist_)?weiblich", "weiblich", "männlich"),
    (r"(ist_)?verheiratet", "verheiratet", "unverheiratet"),
)
#: Names of days on which somebody was born: as whole numbers they are written days, as 19800131.
BORN = r".*(birth|dob|geb|naissance|nascita|nac|nascimento|geboorte).*"
#: Whole numbers under these names are amounts, where those of other attributes are codes.
COUNTED = (
    r"(^|_)(age|alter|eta|edad|idade|leeftijd|dep|deps|kids)(_(in_)?(years?|jahren?))?(_[0-9])?(_|$)|birth|year|geb|jahr"
    r"|naissance|nascita|nac(imiento)?(_|$)|nascimento|dependants?|dependents?|children|kinder|population|latitude|longitude"
)


def plain(name: str) -> str:
    """A name as the rules see it: lower case, words joined by single underscores, letters without marks.

    >>> plain("KreditHöhe (EUR)"), plain("Staatsangehörigkeit"), plain("loanAmount")
    ('kredit_hoehe_eur', 'staatsangehoerigkeit', 'loan_amount')
    """
    return re.sub(r"[^0-9a-z]+", "_", _ascii(apart(as_latin(name))).lower()).strip("_")


def folded(value: str) -> str:
    """A value as the rules see it: lower case, letters without marks, single blanks.

    >>> folded("  Vollständig  getilgt ")
    'vollstaendig getilgt'
    """
    return " ".join(_ascii(value).lower().split())


def apart(name: str) -> str:
    """A name with its words apart where only capitals part them."""
    return re.sub(r"(?<=[^\W\d_A-ZÄÖÜ])(?=[A-ZÄÖÜ])|(?<=[0-9])(?=[A-ZÄÖÜ])", "_", name.strip())


def names_people(name: str) -> bool:
    """Whether a column is called as one of people's names, as :func:`plain` gives it: no value of it is a code.

    >>> names_people("surname"), names_people("first_nm"), names_people("anrede"), names_people("product_name")
    (True, True, False, False)
    """
    return role_of(name) == "protected_proxy" and any(re.fullmatch(PEOPLES_NAMES, each) for each in spellings(name))


def outcome_names(name: str) -> list[str]:
    """The ways to read a name that may be an outcome's: as it is, spelled out, and without the mark of a code.

    >>> outcome_names("aprv_ind")
    ['aprv_ind', 'aprv', 'approved_ind', 'approved']
    """
    found: list[str] = []
    for each in (name, spelled_out(name)):
        found += [each, re.sub(f"{OUTCOME_TAILS}$", "", each)]
    if re.fullmatch(f"dec{OUTCOME_TAILS}", name):
        found.append("decision")
    return list(dict.fromkeys(found))


def role_of(name: str) -> str:
    """The role of a name as :func:`plain` gives it, by :data:`ROLES`; empty if no rule knows it.

    What stands behind it is looked past where the whole name is not known: ``race_cd``, ``sex_of_applicant``.

    >>> role_of("race_cd"), role_of("sexcode"), role_of("age_of_account"), role_of("vehicle_age")
    ('protected', 'protected', '', '')
    """
    names = spellings(name)
    if any(re.fullmatch(OF_THINGS, each) for each in names):
        return ""
    return next((role for each in names if (role := _known_role(each))), "")


def role_in_other_scripts(name: str) -> str:
    """The role of a name in letters of another script, as the file has it; empty if no rule knows it.

    >>> role_in_other_scripts("性別"), role_in_other_scripts("Дата рождения"), role_in_other_scripts("сумма")
    ('protected', 'protected', '')
    """
    bare = "_".join(unicodedata.normalize("NFKC", name).casefold().split())
    return next((role for role, names in OTHER_SCRIPTS.items() if bare in names.split()), "")


def attribute_of(name: str) -> str:
    """What the policy packs call the attribute of a column, by its name; empty where they have no word for it.

    >>> attribute_of("race_cd"), attribute_of("geschlecht"), attribute_of("ethnie")
    ('race', 'sex', '')
    """
    return next(
        (
            attribute
            for each in spellings(name)
            for attribute, words in ATTRIBUTES
            if re.fullmatch(f"(.*_)?({words})", each)
        ),
        "",
    )


def spellings(name: str) -> list[str]:
    """A name, then without whose it is and without its tails, one after the other; then the same spelled out."""
    longer = spelled_out(name)
    return [*_shorter(name), *(_shorter(longer) if longer != name else ())]


def _shorter(name: str) -> list[str]:
    found = [name]
    for _ in range(MOST_TAILS):
        for ends in (WHOSE, TAILS):
            shorter = re.sub(f"(?:{ends})$", "", found[-1])
            if shorter and shorter != found[-1]:
                found.append(shorter)
    return found


def _known_role(name: str) -> str:
    return next((role for role, *words in ROLES if any(re.fullmatch(each, name) for each in words)), "")


def _ascii(text: str) -> str:
    shown = unicodedata.normalize("NFC", text).translate(_UMLAUTS)
    return "".join(each for each in unicodedata.normalize("NFKD", shown) if not unicodedata.combining(each))

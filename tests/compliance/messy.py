"""A table as banks export them, made up: preamble of names, codes, money, percent, dates, people, and a total."""

from __future__ import annotations

import random

HEAD = "Loan Ref;Customer Name;DOB;SSN;Race Cd;Sex Code;Zip;Annual Income;Int Rate;Term;Officer Note;Decision"
PEOPLE = ("Anna", "Omar", "Li", "José", "Mary"), ("Schmidt", "Haddad", "Wei", "Ñandú", "O'Neil", "Novak")


def messy_csv(rows: int = 120) -> bytes:
    """Semicolons, ``$39,375``, ``4,25%``, codes for groups, names, numbers that identify, free text, open cases."""
    draw = random.Random(11)
    lines = [HEAD]
    for number in range(rows):
        race, sex = 1 + number % 3, 1 + (number // 2) % 2
        income = 20_000 + draw.randrange(90_000)
        decided = (
            "Withdrawn" if number % 15 == 0 else "Approved" if income > 45_000 + 9_000 * (race == 2) else "Declined"
        )
        name = f"{draw.choice(PEOPLE[0])} {draw.choice(PEOPLE[1])}{chr(97 + number % 26)}"
        lines.append(
            f"L-{number:05d};{name};{1 + number % 28:02d}.03.{1950 + number % 45};{100 + number}-{10 + number % 80}-"
            f"{1000 + number};{race};{sex};{10_000 + 13 * (number % 40):05d};${income:,};"
            f"{3 + draw.randrange(50) / 10:.2f}%;{12 * (1 + number % 5)} months;"
            f"called on day {number} about papers;{decided}"
        )
    return ("\n".join(lines) + "\n").encode()


def core_extract(rows: int = 90) -> bytes:
    """As a core banking system writes it, made up: a header and a trailer record, short names, notes on people."""
    lines = ["HDR|20261130|LOANS", "ACCT_NO|CUSTRACE|GNDR_CD|BRTH_DT|ADDR_LN|AMT|OFFICER|MEMO|APP_DT|DEC_CD"]
    for number in range(rows):
        amount = f"{1 + number % 9},{number * 37 % 1000:03d}.50"
        note = ("called Mrs. Okafor about papers", "ok", "")[number % 3]
        officer = ("Anna Schmidt", "Omar Haddad", "Li Wei")[number % 3]
        day = (f"2026-0{1 + number % 9}-11", f"0{1 + number % 9}/11/2026")[number % 2]
        decided = "APP" if number % 3 or number % 4 else "DEC"
        lines.append(
            f"{number:010d}|{'WB'[number % 2]}|{'MF'[number // 2 % 2]}|{1 + number % 12:02d}{1 + number % 28:02d}"
            f"{1950 + number % 40}|{number + 1} High Street|{amount}|{officer}|{note}|{day}|{decided}"
        )
    return ("\n".join([*lines, f"TRL|{rows}"]) + "\n").encode()

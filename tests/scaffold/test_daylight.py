"""The example's astronomy, held against almanacs, and its bytes, held against rounding."""

from __future__ import annotations

import csv
import io
from datetime import date
from functools import cache
from itertools import pairwise

import pytest

from osiris.canonical import sha256_hex
from osiris.scaffold.daylight import SUN_COLUMNS, YEAR, read_cities, sun_csv, sun_days
from osiris.scaffold.project_files import template

# Almanacs give minutes and stand at slightly other coordinates; the equations are good to about a minute. Two minutes
# cover both below 65 degrees.
ALMANAC_TOLERANCE_MINUTES = 2.0


@cache
def text() -> str:
    return sun_csv(template("cities.csv"))


@cache
def days() -> dict[tuple[str, str], dict[str, str]]:
    cities = {row["city_id"]: row["city"] for row in csv.DictReader(io.StringIO(template("cities.csv")))}
    return {(cities[row["city_id"]], row["date"]): row for row in csv.DictReader(io.StringIO(text()))}


def hours(city: str) -> dict[str, float]:
    return {day: float(row["daylight_hours"]) for (name, day), row in days().items() if name == city}


def minutes(time: str) -> float:
    hour, minute, second = map(int, time.split(":"))
    return hour * 60 + minute + second / 60


def test_every_city_has_every_day_of_the_leap_year() -> None:
    cities = read_cities(template("cities.csv"))
    assert len(cities) >= 100
    assert len(days()) == len(cities) * 366
    assert text().count("\n") == len(cities) * 366 + 1
    assert ("London", f"{YEAR}-02-29") in days()


def test_city_ids_are_five_digits_with_leading_zeros_and_names_are_real_unicode() -> None:
    rows = list(csv.DictReader(io.StringIO(template("cities.csv"))))
    assert [row["city_id"] for row in rows] == [f"{number:05d}" for number in range(1, len(rows) + 1)]
    names = {row["city"] for row in rows}
    assert {"Tromsø", "Longyearbyen", "Reykjavík", "Ushuaia", "Utqiaġvik", "McMurdo Station", "São Paulo"} <= names
    assert {"東京", "Київ", "القاهرة", "서울", "नई दिल्ली"} <= {row["local_name"] for row in rows}
    assert len(names) == len(rows)


def test_coordinates_have_two_decimals_and_agree_with_the_time_zone() -> None:
    for row in csv.DictReader(io.StringIO(template("cities.csv"))):
        assert row["latitude"][-3] == row["longitude"][-3] == "."
        solar_offset = float(row["longitude"]) / 15
        apart = (float(row["utc_offset"]) - solar_offset + 12) % 24 - 12
        assert abs(apart) < 3.3 or row["city"] == "South Pole Station", row["city"]  # Lhasa keeps the time of Beijing
        assert len(row["country"]) == 2
        assert row["country"].isupper()


@pytest.mark.parametrize(
    ("city", "day", "sunrise_utc", "sunset_utc"),
    [
        ("London", "2024-06-20", "03:43", "20:21"),
        ("London", "2024-12-21", "08:04", "15:53"),
        ("New York", "2024-06-20", "09:25", "00:30"),
        ("Sydney", "2024-12-21", "18:41", "09:05"),
        ("Tokyo", "2024-01-01", "21:51", "07:38"),
        ("Reykjavík", "2024-12-21", "11:22", "15:30"),
    ],
)
def test_sunrise_and_sunset_agree_with_the_almanac(city: str, day: str, sunrise_utc: str, sunset_utc: str) -> None:
    row = days()[city, day]
    assert minutes(row["sunrise_utc"]) == pytest.approx(minutes(sunrise_utc + ":00"), abs=ALMANAC_TOLERANCE_MINUTES)
    assert minutes(row["sunset_utc"]) == pytest.approx(minutes(sunset_utc + ":00"), abs=ALMANAC_TOLERANCE_MINUTES)


def test_london_has_16_6_hours_of_daylight_at_midsummer() -> None:
    assert hours("London")["2024-06-20"] == pytest.approx(16.64, abs=ALMANAC_TOLERANCE_MINUTES / 60)


def test_tromso_has_no_sunrise_at_midwinter_and_no_sunset_at_midsummer() -> None:
    winter, summer = days()["Tromsø", "2024-12-21"], days()["Tromsø", "2024-06-20"]
    assert (winter["kind"], winter["sunrise_utc"], winter["sunset_utc"], winter["daylight_hours"]) == (
        "polar_night",
        "",
        "",
        "0.00",
    )
    assert (summer["kind"], summer["sunrise_utc"], summer["daylight_hours"]) == ("polar_day", "", "24.00")


def test_at_the_equator_every_day_has_12_1_hours() -> None:
    assert set(hours("Quito").values()) <= {12.11, 12.12, 12.13, 12.14}


@pytest.mark.parametrize(("city", "month"), [("Ushuaia", 12), ("Sydney", 12), ("London", 6), ("Tokyo", 6)])
def test_the_longest_day_falls_on_the_solstice_of_the_hemisphere(city: str, month: int) -> None:
    by_day = hours(city)
    longest = date.fromisoformat(max(by_day, key=by_day.__getitem__))
    # Hundredths of an hour do not tell the days next to the solstice apart.
    assert (longest.month, 17 <= longest.day <= 24) == (month, True)


def test_the_pole_has_one_day_and_one_night() -> None:
    kinds = [row["kind"] for (city, _), row in days().items() if city == "South Pole Station"]
    assert "normal" not in kinds
    assert sum(before != after for before, after in pairwise(kinds)) == 2


def test_the_noon_sun_stands_as_high_as_latitude_and_season_say() -> None:
    obliquity = 23.44
    assert float(days()["London", "2024-06-20"]["noon_altitude_deg"]) == pytest.approx(90 - 51.51 + obliquity, abs=0.02)
    assert float(days()["Ushuaia", "2024-06-20"]["noon_altitude_deg"]) == pytest.approx(
        90 - 54.80 - obliquity, abs=0.02
    )


def test_lines_have_the_documented_shape() -> None:
    rows = list(csv.reader(io.StringIO(text())))
    assert tuple(rows[0]) == SUN_COLUMNS
    for _, _, sunrise, sunset, daylight, altitude, kind in rows[1:]:
        assert kind in {"normal", "polar_day", "polar_night"}
        assert bool(sunrise) == bool(sunset) == (kind == "normal")
        assert daylight[-3] == altitude[-3] == "."
        assert altitude != "-0.00"


def test_no_value_is_so_near_to_a_rounding_edge_that_another_libm_could_tip_it() -> None:
    nearest = 1.0
    for city in read_cities(template("cities.csv")):
        for day in sun_days(city):
            edges = [day.noon_altitude * 100]
            if day.kind == "normal":
                edges += [day.daylight_hours * 100, day.sunrise * 60, day.sunset * 60]
            nearest = min(nearest, abs(abs(day.hour_angle_cos) - 1), *(abs(edge % 1 - 0.5) for edge in edges))
    assert nearest > 1e-8


def test_the_bytes_are_the_same_on_every_machine() -> None:
    assert sha256_hex(text().encode()) == "af45ebc9c2ec297f58a66f5e57cbeb34d206d757aa0f39ce89952202f85f330c"

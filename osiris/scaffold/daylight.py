"""The example's numbers: when the sun rises and sets, worked out for each city and each day of 2024.

The equations are the low-precision solar ones of Jean Meeus, *Astronomical Algorithms*, 2nd ed. (1998), chapters 7, 15,
25 and 28, in the form of NOAA's solar calculator (Global Monitoring Laboratory). Good to about a minute below 72° of
latitude; towards the poles, and with unusual air, the real sky differs by more. Sunrise and sunset are when the centre
of the sun stands at -0.833°: 34' of refraction and 16' of its own radius. Days without either are ``polar_day`` or
``polar_night`` by the height of the sun at its noon and midnight.

The same bytes come out on every machine, although the last bits of ``sin`` and ``acos`` may differ from one libm to
another (by about 1e-13 here): everything is rounded to seconds or hundredths, and a test shows that no value lies
nearer than 1e-8 to where its rounding would tip.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date, timedelta
from math import acos, asin, cos, degrees, floor, radians, sin, tan
from typing import NamedTuple

YEAR = 2024
SUN_COLUMNS = ("city_id", "date", "sunrise_utc", "sunset_utc", "daylight_hours", "noon_altitude_deg", "kind")

_HORIZON_SIN = sin(radians(-0.833))
_DAYS_FROM_J2000 = (date(YEAR, 1, 1) - date(2000, 1, 1)).days - 0.5
_MINUTES_A_DAY = 1440


class City(NamedTuple):
    """A line of ``cities.csv``: degrees north and east, and the offset of its standard time from UTC in hours."""

    city_id: str
    latitude: float
    longitude: float
    utc_offset: float


class Sun(NamedTuple):
    """Where the sun stands at one moment: declination in radians, equation of time in minutes."""

    declination: float
    equation_of_time: float


class SunDay(NamedTuple):
    """One city on one day, before rounding.

    ``sunrise`` and ``sunset`` are minutes from the midnight, in UTC, that begins the day of that date in UTC; they may
    lie before it or after its end. ``noon_altitude`` is in degrees and takes no account of refraction.
    ``hour_angle_cos`` is the cosine of the hour angle at sunrise: beyond 1 there is none for night, below -1 for light.
    """

    sunrise: float
    sunset: float
    noon_altitude: float
    hour_angle_cos: float

    @property
    def kind(self) -> str:
        """``normal``, ``polar_day`` (the sun does not set) or ``polar_night`` (it does not rise)."""
        if self.hour_angle_cos > 1:
            return "polar_night"
        return "polar_day" if self.hour_angle_cos < -1 else "normal"

    @property
    def daylight_hours(self) -> float:
        """From sunrise to sunset, 0 to 24."""
        if self.kind == "normal":
            return min(24.0, (self.sunset - self.sunrise) / 60)
        return 24.0 if self.kind == "polar_day" else 0.0


def sun_csv(cities_csv: str) -> str:
    """The text of ``sun.csv`` for the cities in the text of ``cities.csv``: every day of the year for each of them."""
    lines = [",".join(SUN_COLUMNS)]
    dates = [(date(YEAR, 1, 1) + timedelta(days=day)).isoformat() for day in range(_days_in_year())]
    for city in read_cities(cities_csv):
        for iso_date, day in zip(dates, sun_days(city), strict=True):
            lines.append(_line(city.city_id, iso_date, day))
    return "\n".join(lines) + "\n"


def read_cities(cities_csv: str) -> list[City]:
    """The cities of a ``cities.csv`` text, in its order."""
    return [
        City(row["city_id"], float(row["latitude"]), float(row["longitude"]), float(row["utc_offset"]))
        for row in csv.DictReader(io.StringIO(cities_csv))
    ]


def sun_days(city: City) -> Iterator[SunDay]:
    """The sun over ``city`` on each day of the year; a day is the one on its own calendar."""
    latitude = radians(city.latitude)
    mean_noon = _MINUTES_A_DAY / 2 - 4 * city.longitude
    # Apia and Kiritimati keep the date of the other side of the date line: their noon of a date comes a day earlier.
    mean_noon -= _MINUTES_A_DAY * floor((mean_noon + 60 * city.utc_offset) / _MINUTES_A_DAY)
    for day in range(_days_in_year()):
        midnight = day * _MINUTES_A_DAY
        at_noon = sun_at(midnight + mean_noon)
        noon = mean_noon - at_noon.equation_of_time
        hour_angle_cos = _hour_angle_cos(latitude, at_noon.declination)
        half_day = _half_day_minutes(hour_angle_cos)
        # Between noon and the horizon the sun moves on a little; one more step with its place there is enough.
        rise, fall = sun_at(midnight + noon - half_day), sun_at(midnight + noon + half_day)
        yield SunDay(
            mean_noon - rise.equation_of_time - _half_day_minutes(_hour_angle_cos(latitude, rise.declination)),
            mean_noon - fall.equation_of_time + _half_day_minutes(_hour_angle_cos(latitude, fall.declination)),
            90 - abs(city.latitude - degrees(at_noon.declination)),
            hour_angle_cos,
        )


def sun_at(minutes: float) -> Sun:
    """The sun ``minutes`` after the year began in UTC (Meeus, chapters 25 and 28)."""
    century = (_DAYS_FROM_J2000 + minutes / _MINUTES_A_DAY) / 36525
    mean_longitude = radians(280.46646 + century * (36000.76983 + century * 0.0003032))
    anomaly = radians(357.52911 + century * (35999.05029 - century * 0.0001537))
    eccentricity = 0.016708634 - century * (0.000042037 + century * 0.0000001267)
    centre = radians(
        sin(anomaly) * (1.914602 - century * (0.004817 + century * 0.000014))
        + sin(2 * anomaly) * (0.019993 - century * 0.000101)
        + sin(3 * anomaly) * 0.000289
    )
    node = radians(125.04 - 1934.136 * century)
    longitude = mean_longitude + centre + radians(-0.00569 - 0.00478 * sin(node))
    obliquity = radians(23.4392911 - century * 0.0130042 + 0.00256 * cos(node))
    y = tan(obliquity / 2) ** 2
    equation_of_time = (
        y * sin(2 * mean_longitude)
        - 2 * eccentricity * sin(anomaly)
        + 4 * eccentricity * y * sin(anomaly) * cos(2 * mean_longitude)
        - 0.5 * y * y * sin(4 * mean_longitude)
        - 1.25 * eccentricity * eccentricity * sin(2 * anomaly)
    )
    return Sun(asin(sin(obliquity) * sin(longitude)), 4 * degrees(equation_of_time))


def _hour_angle_cos(latitude: float, declination: float) -> float:
    return (_HORIZON_SIN - sin(latitude) * sin(declination)) / (cos(latitude) * cos(declination))


def _half_day_minutes(hour_angle_cos: float) -> float:
    return 4 * degrees(acos(max(-1.0, min(1.0, hour_angle_cos))))


def _line(city_id: str, iso_date: str, day: SunDay) -> str:
    sunrise, sunset = (_time(day.sunrise), _time(day.sunset)) if day.kind == "normal" else ("", "")
    hours, altitude = _hundredths(day.daylight_hours), _hundredths(day.noon_altitude)
    return f"{city_id},{iso_date},{sunrise},{sunset},{hours},{altitude},{day.kind}"


def _time(minutes: float) -> str:
    """``HH:MM:SS`` of the day on which ``minutes`` falls, to the nearest second."""
    total_s = round(minutes * 60) % (_MINUTES_A_DAY * 60)
    return f"{total_s // 3600:02d}:{total_s // 60 % 60:02d}:{total_s % 60:02d}"


def _hundredths(value: float) -> str:
    """``value`` with two decimals; never ``-0.00``."""
    scaled = round(value * 100)
    return f"{'-' if scaled < 0 else ''}{abs(scaled) // 100}.{abs(scaled) % 100:02d}"


def _days_in_year() -> int:
    return (date(YEAR + 1, 1, 1) - date(YEAR, 1, 1)).days

from __future__ import annotations

from pathlib import Path

import numpy as np

from lamina.data import layouts


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_m4_rows_are_series_whose_test_follows(tmp_path: Path) -> None:
    train = write(tmp_path, "train.csv", '"V1","V2","V3","V4"\n"H2","1","2","3"\n"H10","5","6",\n')
    test = write(tmp_path, "test.csv", '"V1","V2"\n"H2","4"\n"H10","7.5"\n')
    table = layouts.read_m4_hourly(train, test)
    assert table.ids == ("H2", "H10")
    assert table.y.tolist() == [1, 2, 3, 4, 5, 6, 7.5]
    assert table.frequency.seasons == (24, 168)


def test_tourism_columns_are_series_dated_from_their_head(tmp_path: Path) -> None:
    train = write(tmp_path, "in.csv", "q1,q2\n2,3\n1979,1985\n4,1\n10,20\n11,21\n99,22\n")
    test = write(tmp_path, "oos.csv", "q1,q2\n1,1\n1980,1985\n2,4\n12,23\n")
    table = layouts.read_tourism(train, test, step="1q")
    assert table.y.tolist() == [10, 11, 12, 20, 21, 22, 23]  # the stray 99 is not read
    assert table.time.astype("M8[M]").astype(str).tolist()[:3] == ["1979-10", "1980-01", "1980-04"]


def test_beijing_has_its_time_from_four_columns(tmp_path: Path) -> None:
    text = "No,year,month,day,hour,pm2.5,cbwd\n1,2010,1,1,0,NA,NW\n2,2010,1,1,1,7,SE\n"
    table = layouts.read_beijing_pm25(write(tmp_path, "p.csv", text))
    np.testing.assert_array_equal(table.y, [np.nan, 7])
    assert table.past_names == ("cbwd=NW", "cbwd=SE")
    assert table.frequency.step == "1h"


def test_columns_without_a_header_are_series(tmp_path: Path) -> None:
    table = layouts.read_exchange_rate(write(tmp_path, "e.txt", "0.5,1.5\n0.6,1.6\n"))
    assert table.ids == ("currency_1", "currency_2")
    assert table.y.tolist() == [0.5, 0.6, 1.5, 1.6]

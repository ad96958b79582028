from readings import moving_average, parse, warmest_stretch

MORNING = ["06:00 11.0", "07:00 12.5", "08:00 14.0", "09:00 17.5", "10:00 21.0"]
STORMY = ["12:00 24.0", "13:00 25.5", "14:00 25.0", "15:00 16.5", "16:00 15.0", "17:00 15.5"]


def test_parse():
    assert parse("14:00 23.5") == ("14:00", 23.5)


def test_moving_average():
    assert moving_average([1.0, 2.0, 6.0, 4.0], 2) == [1.5, 4.0, 5.0]


def test_warmest_stretch_of_a_warming_day():
    assert warmest_stretch(MORNING) == "08:00"


def test_warmest_stretch_before_the_storm():
    assert warmest_stretch(STORMY) == "12:00"

"""Hourly temperature readings: parse them, smooth them, find the warmest stretch of a day."""


def parse(line):
    """Split a line such as "14:00 23.5" into the hour and the degrees."""
    hour, degrees = line.split()
    return hour, float(degrees)


def moving_average(values, width):
    """The mean of every `width` neighbouring values."""
    averages = []
    for start in range(len(values) - width + 1):
        window = values[start : start + width]
        averages.append(sum(window) / width)
    return averages


def warmest_stretch(lines, width=3):
    """The hour at which the warmest `width` hours begin."""
    readings = [parse(line) for line in lines]
    averages = moving_average([degrees for _, degrees in readings], width)
    warmest = averages.index(max(averages))
    hour, _ = readings[warmest + width]
    return hour

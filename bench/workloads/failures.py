"""Small programs with one bug and one failing test each, written for measuring explanations."""

FAILURES = {
    "count_up_to": (
        """
        def count_up_to(values, limit):
            count = 0
            for value in values:
                if value < limit:
                    count += 1
            return count
        """,
        "count_up_to([1, 4, 9, 4], 4) == 3",
    ),
    "invoice": (
        """
        def net(price, percent):
            return price - price * percent

        def invoice(lines):
            total = 0
            for price, percent in lines:
                total += net(price, percent)
            return total
        """,
        "invoice([(100, 10), (50, 0)]) == 140",
    ),
    "spent": (
        """
        def spent(entries):
            by_name = {}
            for name, cents in entries:
                by_name[name] = cents
            return by_name
        """,
        "spent([('ann', 5), ('bob', 2), ('ann', 7)]) == {'ann': 12, 'bob': 2}",
    ),
    "last_word": (
        """
        def words(text):
            return text.split(" ")

        def last_word(text):
            found = words(text)
            return found[len(found) - 1].upper()
        """,
        "last_word('the red fox ') == 'FOX'",
    ),
    "average_age": (
        """
        def ages(people):
            return [person["age"] for person in people if person["member"]]

        def average_age(people):
            known = ages(people)
            return sum(known) / len(known)
        """,
        "average_age([{'age': 30, 'member': False}]) == 0",
    ),
    "merge": (
        """
        def merge(left, right):
            result = []
            i = j = 0
            while i < len(left) and j < len(right):
                if left[i] <= right[j]:
                    result.append(left[i])
                    i += 1
                else:
                    result.append(right[j])
                    j += 1
            return result + left[i:]
        """,
        "merge([1, 3], [2, 5]) == [1, 2, 3, 5]",
    ),
    "stock": (
        """
        class Stock:
            def __init__(self):
                self.items = {}

            def add(self, name, count):
                self.items[name] = self.items.get(name, 0) + count

            def take(self, name, count):
                left = self.items[name] - count
                if left > 0:
                    self.items[name] = left
                return left

        def sell_out():
            stock = Stock()
            stock.add("tea", 2)
            stock.take("tea", 2)
            return stock.items["tea"]
        """,
        "sell_out() == 0",
    ),
    "initials": (
        """
        def initials(name):
            letters = ""
            for part in name.split("-"):
                letters = part[0] + letters
            return letters
        """,
        "initials('jean-luc-marie') == 'jlm'",
    ),
}
"""Name -> (module, what the test asserts)."""

"""What is claimed about speed, to be measured again: ``make bench``, ``make bench-peers``.

``load`` sends requests, ``people`` is what they speak of, ``rows`` says what is measured, ``world`` is
what a server under test holds, ``servers`` and ``peers`` start what is measured, ``processes`` reads
what it costs, ``targets`` says what is fast enough, ``report`` writes it all down.
"""

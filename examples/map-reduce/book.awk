# book.awk - writes a book from a list of words, the same one each time: awk -f book.awk words.txt
# SPDX-License-Identifier: Apache-2.0
# Some words are used often and most of them seldom, as in real texts: the place in the list is the third power of chance.

function chance() { # 0 to 1, the generator of Lehmer
    seed = (seed * 16807) % 2147483647
    return seed / 2147483647
}

function one_word(   c, w, ending) {
    c = chance()
    w = word[1 + int(count * c * c * c)]
    ending = chance()
    if (length(w) > 3 && ending < 0.08) w = w "s"
    else if (length(w) > 4 && ending < 0.12) w = w "ing"
    else if (length(w) > 4 && ending < 0.16) w = w "ly"
    return w
}

{ word[++count] = $1 }

END {
    seed = 1729
    for (chapter = 1; chapter <= 40; chapter++) {
        printf "CHAPTER %d\n\n", chapter
        for (paragraph = 0; paragraph < 40; paragraph++) {
            line = ""
            for (sentence = 0; sentence < 5; sentence++) {
                length_of = 5 + int(chance() * 14)
                for (i = 0; i < length_of; i++) {
                    w = one_word()
                    if (i == 0) w = toupper(substr(w, 1, 1)) substr(w, 2)
                    else if (chance() < 0.07) line = line ","
                    line = line (line == "" ? "" : " ") w
                    if (length(line) > 90) { print line; line = "" }
                }
                line = line (chance() < 0.1 ? "?" : ".")
            }
            print line "\n"
        }
    }
}

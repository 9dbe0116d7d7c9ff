/*
 * churn_cxx.cc: the containers of C++: maps from texts to lists of texts that grow, are looked up, copied and cut down.
 *
 *   churn_cxx STEPS
 *
 * Prints nanoseconds per step; a step is about ten pairs of new and delete.
 */
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

static std::string word(unsigned long number)
{
    std::string text = "a word that is too long for the string itself ";
    return text += std::to_string(number * 0x9e3779b97f4a7c15ul % 5000);
}

int main(int argc, char **argv)
{
    unsigned long steps = argc == 2 ? std::strtoul(argv[1], nullptr, 10) : 0, found = 0;
    if (steps == 0)
        return std::fputs("usage: churn_cxx STEPS\n", stderr), 2;
    auto begun = std::chrono::steady_clock::now();
    std::map<std::string, std::vector<std::string>> map;
    for (unsigned long i = 0; i < steps; i++) {
        auto &list = map[word(i)];
        list.push_back(word(i + 1));
        if (list.size() > 8)
            list = std::vector<std::string>(list.end() - 2, list.end());
        auto other = map.find(word(i * 7));
        if (other != map.end() && ++found % 16 == 0)
            map.erase(other);
    }
    std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - begun;
    std::printf("%.2f %lu\n", taken.count() / double(steps), found);
    return 0;
}

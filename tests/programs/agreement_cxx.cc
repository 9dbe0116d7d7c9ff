// agreement_cxx.cc: containers, strings, streams, functions and exceptions, always the same ones, on one thread.
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

namespace
{

struct alignas(64) Wide {
    double value[8] = {};
};

std::string name_of(int i)
{
    std::ostringstream out;
    out << "the name of number " << i << ", which is too long to be kept inside of a string object";
    return out.str();
}

size_t fill_containers(int count)
{
    std::map<int, std::string> sorted;
    std::unordered_map<std::string, int> hashed;
    std::list<int> list;
    std::deque<std::string> deque;
    std::set<std::string> set;
    std::vector<std::string> vector;
    for (int i = 0; i < count; i++) {
        std::string name = name_of(i % 700);
        sorted[i % 500] = name;
        hashed[name] += i;
        list.push_back(i);
        deque.push_back(name.substr(4));
        set.insert(name);
        vector.push_back(std::move(name));
    }
    return sorted.size() + hashed.size() + list.size() + deque.size() + set.size() + vector.size();
}

size_t throw_exceptions(int count)
{
    size_t length = 0;
    for (int i = 0; i < count; i++) {
        try {
            if (i % 3 == 0)
                throw std::runtime_error(name_of(i));
            throw i;
        } catch (const std::runtime_error &e) {
            length += std::string(e.what()).size();
        } catch (int number) {
            length += static_cast<size_t>(number);
        }
    }
    return length;
}

size_t use_pointers(int count)
{
    std::vector<std::shared_ptr<Wide>> shared;
    std::vector<std::unique_ptr<Wide[]>> arrays;
    std::vector<std::function<size_t()>> functions;
    for (int i = 0; i < count; i++) {
        shared.push_back(std::make_shared<Wide>());
        arrays.push_back(std::make_unique<Wide[]>(static_cast<size_t>(i % 7 + 1)));
        std::string name = name_of(i);
        functions.push_back([name, last = shared.back()] { return name.size(); });
    }
    size_t length = 0;
    for (auto &function : functions)
        length += function();
    void *none = ::operator new(static_cast<size_t>(1) << 62, std::nothrow);
    return length + (none != nullptr);
}

} // namespace

int main()
{
    std::string *kept = new std::string(name_of(1));
    size_t sum = fill_containers(3000) + throw_exceptions(600) + use_pointers(400);
    return sum > 0 && !kept->empty() ? 0 : 1;
}

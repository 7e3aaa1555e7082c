#include "tests/raft/transcripts/script.h"

#include <algorithm>
#include <charconv>
#include <sstream>

namespace andyx::raft::transcripts {

namespace {

constexpr std::string_view kSeparator = "----";
constexpr std::string_view kBlanks = " \t\r";

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// Splits at `at` outside of parentheses.
std::vector<std::string> split(std::string_view text, std::string_view at) {
  std::vector<std::string> parts;
  std::string part;
  int depth = 0;
  for (const char letter : text) {
    depth += letter == '(' ? 1 : letter == ')' ? -1 : 0;
    if (depth == 0 && at.find(letter) != std::string_view::npos) {
      if (!part.empty()) {
        parts.push_back(std::move(part));
      }
      part.clear();
    } else {
      part += letter;
    }
  }
  if (!part.empty()) {
    parts.push_back(std::move(part));
  }
  return parts;
}

Argument parse_argument(const std::string& word) {
  const auto equals = word.find('=');
  if (equals == std::string::npos) {
    return {.key = word, .values = {}};
  }
  Argument argument{.key = word.substr(0, equals), .values = {}};
  std::string value = word.substr(equals + 1);
  if (value.size() >= 2 && value.front() == '(' && value.back() == ')') {
    for (const std::string& one : split(std::string_view(value).substr(1, value.size() - 2), ",")) {
      argument.values.emplace_back(trimmed(one));
    }
  } else {
    argument.values.push_back(std::move(value));
  }
  return argument;
}

class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text) {}

  bool next(std::string_view& line) {
    if (text_.empty()) {
      return false;
    }
    const auto end = text_.find('\n');
    line = text_.substr(0, end);
    text_ = end == std::string_view::npos ? std::string_view{} : text_.substr(end + 1);
    number_++;
    return true;
  }
  bool next_is(std::string_view wanted) const {
    Lines ahead = *this;
    std::string_view line;
    return ahead.next(line) && line == wanted;
  }
  std::size_t number() const { return number_; }

 private:
  std::string_view text_;
  std::size_t number_ = 0;
};

// Between the first and the second doubled separator.
bool read_framed(Lines& lines, Directive& directive) {
  std::string_view line;
  while (lines.next(line)) {
    if (line == kSeparator && lines.next_is(kSeparator)) {
      lines.next(line);
      return true;
    }
    directive.expected.append(line).append("\n");
  }
  return false;
}

}  // namespace

const Argument* Directive::find(std::string_view key) const {
  const auto at = std::ranges::find(arguments, key, &Argument::key);
  return at == arguments.end() ? nullptr : &*at;
}

std::optional<std::string> Directive::value(std::string_view key) const {
  const Argument* const found = find(key);
  return found == nullptr || found->values.size() != 1 ? std::nullopt
                                                       : std::optional(found->values[0]);
}

std::vector<std::uint64_t> Directive::ids() const {
  std::vector<std::uint64_t> found;
  for (const Argument& argument : arguments) {
    if (argument.values.empty()) {
      found.push_back(number(argument.key));
    }
  }
  return found;
}

std::uint64_t number(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    throw BadDirective{"'" + text + "' is no number"};
  }
  return value;
}

bool truth(const std::string& text) {
  if (text == "true" || text == "1" || text == "t") {
    return true;
  }
  if (text == "false" || text == "0" || text == "f") {
    return false;
  }
  throw BadDirective{"'" + text + "' is neither true nor false"};
}

std::expected<Script, std::string> parse(std::string_view text) {
  Script script;
  Lines lines(text);
  std::string source;
  std::string_view line;
  while (lines.next(line)) {
    source.append(line).append("\n");
    if (trimmed(line).empty() || line.starts_with('#')) {
      continue;
    }
    Directive directive{.line = lines.number()};
    std::string whole(trimmed(line));
    while (whole.ends_with('\\') && lines.next(line)) {
      whole.pop_back();
      whole.append(" ").append(trimmed(line));
      source.append(line).append("\n");
    }
    const std::vector<std::string> words = split(whole, kBlanks);
    directive.command = words[0];
    for (std::size_t at = 1; at < words.size(); at++) {
      directive.arguments.push_back(parse_argument(words[at]));
    }
    bool separated = false;
    while (!separated && lines.next(line)) {
      source.append(line).append("\n");
      separated = line == kSeparator;
      if (!separated) {
        directive.input.append(directive.input.empty() ? "" : "\n").append(line);
      }
    }
    if (!separated) {
      return std::unexpected("line " + std::to_string(directive.line) + ": no ---- follows");
    }
    if (lines.next_is(kSeparator)) {
      lines.next(line);
      if (!read_framed(lines, directive)) {
        return std::unexpected("line " + std::to_string(directive.line) +
                               ": the doubled ---- is never closed");
      }
      if (lines.next_is("")) {
        lines.next(line);
      }
    } else {
      while (lines.next(line) && !trimmed(line).empty()) {
        directive.expected.append(line).append("\n");
      }
    }
    directive.source = std::move(source);
    source = {};
    script.directives.push_back(std::move(directive));
  }
  script.tail = std::move(source);
  return script;
}

std::string rewrite(const Script& script, const std::vector<std::string>& outputs) {
  std::string text;
  for (std::size_t at = 0; at < script.directives.size(); at++) {
    text += at == 0 ? "" : "\n";
    text += script.directives[at].source;
    const std::string& output = outputs[at];
    const bool framed = output.find("\n\n") != std::string::npos || output.starts_with('\n');
    text += framed ? "----\n" + output + "----\n----\n" : output;
  }
  return text + (script.tail.empty() ? "" : "\n" + script.tail);
}

}  // namespace andyx::raft::transcripts

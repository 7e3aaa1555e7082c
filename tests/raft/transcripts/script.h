// The file format of the transcripts: directives with input and expected output. See README of the
// conformance folder: `cmd arg key=v key=(a,b)`, input lines, `----`, output up to a blank line; a
// doubled `----` opens and closes an output that may hold blank lines.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace andyx::raft::transcripts {

struct Argument {
  std::string key;
  std::vector<std::string> values;  // none: a plain word
};

struct Directive {
  std::size_t line = 0;  // in the file, from 1
  std::string command;
  std::vector<Argument> arguments;
  std::string input;     // lines joined by \n, without the last one
  std::string expected;  // with a \n at the end of each line
  // What stands before the output, to write the file anew: comments, blank lines, the directive.
  std::string source;

  const Argument* find(std::string_view key) const;
  // The value of key=value; nothing when it is not there or has several.
  std::optional<std::string> value(std::string_view key) const;
  std::vector<std::uint64_t> ids()
      const;  // of the plain words; those that are no numbers are left out
};

// Thrown by handlers for directives that make no sense: the file fails.
struct BadDirective {
  std::string text;
};

std::uint64_t number(const std::string& text);  // throws BadDirective
bool truth(const std::string& text);

struct Script {
  std::vector<Directive> directives;
  std::string tail;  // what follows the last output
};
std::expected<Script, std::string> parse(std::string_view text);

// The file with the outputs replaced, in the order of the directives.
std::string rewrite(const Script& script, const std::vector<std::string>& outputs);

}  // namespace andyx::raft::transcripts

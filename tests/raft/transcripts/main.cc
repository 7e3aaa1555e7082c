// raft-transcripts: replays transcripts on the core and compares what it prints.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "tests/raft/transcripts/cases.h"

namespace {

namespace fs = std::filesystem;
using namespace andyx::raft::transcripts;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    lines.push_back(line);
  }
  return lines;
}

bool is_log_line(const std::string& line) {
  const auto start = line.find_first_not_of(" \t");
  if (start == std::string::npos) {
    return false;
  }
  const std::string word = line.substr(start, line.find(' ', start) - start);
  return word == "DEBUG" || word == "INFO" || word == "WARN" || word == "ERROR" || word == "FATAL";
}

// In protocol mode without log lines; `ok` stands for nothing, as does an output of log lines only.
std::string comparable(const std::string& text, bool strict) {
  std::string out;
  for (const std::string& line : lines_of(text)) {
    if (strict || !is_log_line(line)) {
      out += line.substr(0, line.find_last_not_of(" \t") + 1) + "\n";
    }
  }
  return out == "ok\n" ? "" : out;
}

// The first lines that differ.
std::string difference(const std::string& expected, const std::string& actual) {
  const auto wanted = lines_of(expected);
  const auto got = lines_of(actual);
  std::size_t at = 0;
  while (at < wanted.size() && at < got.size() && wanted[at] == got[at]) {
    at++;
  }
  std::string out;
  for (std::size_t line = at; line < std::min(at + 8, std::max(wanted.size(), got.size()));
       line++) {
    out += "    expected: " + (line < wanted.size() ? wanted[line] : "(nothing)") + "\n";
    out += "    printed:  " + (line < got.size() ? got[line] : "(nothing)") + "\n";
  }
  return out;
}

struct Options {
  bool strict = false;
  bool rewrite = false;
  std::vector<std::string> paths;
};

// Nothing, or why the file failed.
std::string replay(const fs::path& path, const Options& options) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream content;
  content << in.rdbuf();
  if (!in) {
    return "    cannot be read\n";
  }
  const auto script = parse(content.str());
  if (!script) {
    return "    " + script.error() + "\n";
  }
  const std::unique_ptr<Case> running = make_case(*script);
  if (!running) {
    return "    holds no directive\n";
  }
  std::vector<std::string> outputs;
  for (const Directive& directive : script->directives) {
    const std::string where =
        "    line " + std::to_string(directive.line) + ", " + directive.command + ":";
    try {
      outputs.push_back(running->run(directive));
    } catch (const BadDirective& bad) {
      return where + " " + bad.text + "\n";
    }
    const std::string expected = comparable(directive.expected, options.strict);
    const std::string actual = comparable(outputs.back(), options.strict);
    if (expected != actual && !options.rewrite) {
      return where + "\n" + difference(expected, actual);
    }
  }
  if (options.rewrite) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << rewrite(*script, outputs);
  }
  return "";
}

// Texts that describe the transcripts stand beside them: `FOLDER/*` names them too.
std::vector<fs::path> files_of(const std::vector<std::string>& paths) {
  std::vector<fs::path> files;
  for (const std::string& path : paths) {
    if (!fs::is_directory(path)) {
      files.emplace_back(path);
      continue;
    }
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
      if (entry.is_regular_file()) {
        files.push_back(entry.path());
      }
    }
  }
  std::erase_if(files, [](const fs::path& file) { return file.extension() == ".md"; });
  std::ranges::sort(files);
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Replays Raft transcripts (quorum, confchange, interaction) on the core.");
  app.add_flag("--strict", options.strict, "compare log lines too");
  app.add_flag("--rewrite", options.rewrite, "write what is printed into the files");
  app.add_option("PATH", options.paths, "files, or folders that hold them")->required();
  CLI11_PARSE(app, argc, argv);

  int passed = 0;
  int failed = 0;
  for (const fs::path& file : files_of(options.paths)) {
    const std::string wrong = replay(file, options);
    std::cout << (wrong.empty() ? "ok     " : "FAILED ") << file.string() << "\n" << wrong;
    (wrong.empty() ? passed : failed)++;
  }
  std::cout << passed << " passed, " << failed << " failed\n";
  return failed == 0 && passed > 0 ? 0 : 1;
}

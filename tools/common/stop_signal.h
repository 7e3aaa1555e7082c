// SIGINT and SIGTERM as a flag that a loop looks at, so that answers are confirmed before the
// program ends. The second one ends the program as usual. Process-wide; one object at a time.
#pragma once

namespace andyx::tools {

class StopSignal {
 public:
  StopSignal();   // catches them
  ~StopSignal();  // back to the defaults

  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  bool stopped() const;
};

}  // namespace andyx::tools

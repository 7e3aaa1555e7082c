// Has a check of the running test failed, or after the last test: of any? Then directories and logs
// are kept. Any thread.
#pragma once

namespace andyx::test {

void note_failure();
void forget_failure();  // the next test begins
bool any_failure();

}  // namespace andyx::test

// Has any check of this process failed so far? Then directories and logs are kept. Any thread.
#pragma once

namespace andyx::test {

void note_failure();
bool any_failure();

}  // namespace andyx::test

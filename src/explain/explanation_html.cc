// Writes an explanation as a page.
#include "explain/explanation.h"
#include "explain/page.h"

namespace lazuli {

std::string explanation_html(const Explanation& e) {
  std::string page = kPageBegin;
  // `</script>` or `<!--` inside the data would end or change the element; JSON may spell the character as an escape.
  for (char c : explanation_json(e, true)) {
    if (c == '<') {
      page += "\\u003c";
    } else {
      page += c;
    }
  }
  return page + kPageEnd;
}

}  // namespace lazuli

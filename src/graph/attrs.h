// Has attr::<op>::<name>, the attributes of ops by their names in ops.def. What needs those of a few ops includes graph/ops/<op>.h instead.
#pragma once

#include "graph/ops/all.h"

// Implements as_encoder.
#include "models/decoder_encoder.h"

#include <string_view>
#include <utility>

#include "models/encoder_inputs.h"

namespace lazuli {

namespace {

class DecoderEncoder : public Encoder {
 public:
  explicit DecoderEncoder(std::shared_ptr<const LanguageModel> model) : model_(std::move(model)) {
    info_ = model_->info();
    linears_.assign(model_->linears().begin(), model_->linears().end());
    constexpr std::string_view kOuter = "model.";
    for (LinearInfo& layer : linears_) {
      if (layer.path.starts_with(kOuter)) layer.path.erase(0, kOuter.size());
    }
  }
  LazyTensor hidden(const EncoderInputs& inputs) const override {
    check_inputs(inputs, info_);
    ForwardContext context;
    context.ids = inputs.ids;
    if (model_->bidirectional()) context.mask = inputs.mask;
    context.adapter = inputs.adapter;
    return model_->hidden(context);
  }

 private:
  std::shared_ptr<const LanguageModel> model_;
};

}  // namespace

std::shared_ptr<const Encoder> as_encoder(std::shared_ptr<const LanguageModel> model) {
  return std::make_shared<DecoderEncoder>(std::move(model));
}

}  // namespace lazuli

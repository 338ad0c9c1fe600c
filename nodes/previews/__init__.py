"""From a latent to a picture that somebody sees. On the preview thread, which the sampler never waits for."""

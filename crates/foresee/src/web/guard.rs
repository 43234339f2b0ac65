//! Who may ask: only pages of this server, and, beyond this machine, only who has the token.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};

use super::cookie::cookies;
use super::origin::Origin;
use super::refusal::Refusal;
use crate::error::Result;

/// The cookie with the token, before the port: cookies do not tell ports apart.
const COOKIE: &str = "foresee_token_";

/// Decides about requests by their headers.
#[derive(Debug, Clone)]
pub struct Guard {
    address: SocketAddr,
    /// Where people reach it through a proxy, if they do.
    public: Option<Origin>,
    token: Option<String>,
}

impl Guard {
    /// Of a server at this address. Beyond this machine (not a loopback address) a token is drawn.
    ///
    /// # Errors
    /// If the operating system gives no random numbers.
    pub fn new(address: SocketAddr) -> Result<Self> {
        Self::with(address, None, None)
    }

    /// The same, also by the address of a proxy before it, which takes a token, too; with the token
    /// that it had before, if it needs one.
    pub(crate) fn with(
        address: SocketAddr,
        public: Option<Origin>,
        before: Option<String>,
    ) -> Result<Self> {
        let is_for_this_machine = address.ip().is_loopback() && public.is_none();
        let token = match (is_for_this_machine, before) {
            (true, _) => None,
            (false, Some(token)) => Some(token),
            (false, None) => Some(random_name()?),
        };
        Ok(Self { address, public, token })
    }

    /// The port that it is at.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// What the link needs, if anything.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The link that opens the page.
    pub fn link(&self) -> String {
        let start = match &self.public {
            Some(public) => public.text(),
            None => format!("http://{}", self.address),
        };
        match &self.token {
            None => format!("{start}/"),
            Some(token) => format!("{start}/?token={token}"),
        }
    }

    /// A header that keeps the token in the browser, for requests that name it in their link.
    pub(super) fn cookie(&self, uri: &Uri) -> Option<String> {
        let token = self.token.as_deref().filter(|token| is_token(&token_of(uri), token))?;
        let port = self.address.port();
        let https = self.cookie_end();
        Some(format!("{COOKIE}{port}={token}; Path=/; HttpOnly; SameSite=Strict{https}"))
    }

    /// What cookies end with: where people reach it by HTTPS, they are sent by HTTPS only.
    pub(crate) fn cookie_end(&self) -> &'static str {
        match self.public.as_ref().is_some_and(Origin::is_https) {
            true => "; Secure",
            false => "",
        }
    }

    /// Refuses what other pages ask, names that lead here by DNS rebinding, and who lacks the
    /// token.
    pub(super) fn check(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> std::result::Result<(), Refusal> {
        let forbidden = |reason: &str| Err(Refusal::new(StatusCode::FORBIDDEN, reason));
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok());
        if hosts.next().is_some() || !host.is_some_and(|host| self.is_served(host)) {
            return forbidden(
                "this server is asked by its address in numbers, as localhost, or by the name that \
                 --public-url gave it: open the link that it printed",
            );
        }
        let is_own = |origin: &HeaderValue| origin.to_str().is_ok_and(|origin| self.is_own(origin));
        if !headers.get(header::ORIGIN).is_none_or(is_own) {
            return forbidden("pages from elsewhere may not ask this server");
        }
        let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
        let opens_page = *method == Method::GET && uri.path() == "/";
        if site.is_some_and(|site| !["same-origin", "none"].contains(&site)) && !opens_page {
            return forbidden("pages from elsewhere may not ask this server");
        }
        match &self.token {
            Some(token) if !is_token(&token_of(uri), token) && !self.has_cookie(headers, token) => {
                forbidden("the token is missing: open the link that the server printed")
            }
            _ => Ok(()),
        }
    }

    fn has_cookie(&self, headers: &HeaderMap, token: &str) -> bool {
        let own = format!("{COOKIE}{}", self.address.port());
        cookies(headers, &own).any(|value| is_token(value, token))
    }

    /// What to put in place of an address that stands for all of the machine's.
    pub fn advice(&self) -> Option<&'static str> {
        (self.is_everywhere() && self.public.is_none()).then_some(
            "from another machine, put this machine's number (such as 192.168.0.7) in place of the \
             address in the link",
        )
    }

    /// Whether a page of this origin is one of this server.
    fn is_own(&self, origin: &str) -> bool {
        match &self.public {
            Some(public) if public.text() == origin => true,
            _ => origin.strip_prefix("http://").is_some_and(|host| self.is_at(host)),
        }
    }

    /// Whether this is how the server is called: the proxy's name, its address, or localhost on
    /// this machine.
    fn is_served(&self, host: &str) -> bool {
        self.public.as_ref().is_some_and(|public| public.has_host(host)) || self.is_at(host)
    }

    /// Whether this is its own address, or localhost on this machine.
    fn is_at(&self, host: &str) -> bool {
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
            _ => (host, Some(80)),
        };
        if port != Some(self.address.port()) {
            return false;
        }
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        match bare.parse::<IpAddr>() {
            Ok(ip) => ip == self.address.ip() || ip.is_loopback() || self.is_everywhere(),
            Err(_) => name.eq_ignore_ascii_case("localhost"),
        }
    }

    /// Whether it listens at all addresses of the machine. No name can then be told from another,
    /// but numbers cannot be rebound.
    fn is_everywhere(&self) -> bool {
        self.address.ip().is_unspecified()
    }
}

/// Letters that nobody guesses.
pub(crate) fn random_name() -> Result<String> {
    let mut bytes = [0u8; 16];
    OsRng.try_fill_bytes(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The token of a link; empty if it has none.
fn token_of(uri: &Uri) -> String {
    let pairs = uri.query().unwrap_or_default().split('&');
    pairs.filter_map(|pair| pair.strip_prefix("token=")).next().unwrap_or_default().to_owned()
}

/// Compares hashes, so that the time that it takes tells nothing.
fn is_token(given: &str, token: &str) -> bool {
    Sha256::digest(given.as_bytes()) == Sha256::digest(token.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(guard: &Guard, path: &str, headers: &[(&'static str, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a header"));
        }
        let uri = path.parse().expect("a path");
        guard.check(&Method::GET, &uri, &map).map_or_else(|e| e.status.as_u16(), |()| 200)
    }

    #[test]
    fn only_this_server_by_its_own_name_is_asked() -> Result<()> {
        let guard = Guard::new("127.0.0.1:8080".parse()?)?;
        assert_eq!((guard.token(), guard.link().as_str()), (None, "http://127.0.0.1:8080/"));
        for host in ["127.0.0.1:8080", "localhost:8080", "[::1]:8080", "LOCALHOST:8080"] {
            assert_eq!(status(&guard, "/", &[("host", host)]), 200, "{host}");
        }
        for host in ["evil.example:8080", "127.0.0.1:81", "127.0.0.1", "192.168.0.7:8080", ""] {
            assert_eq!(status(&guard, "/", &[("host", host)]), 403, "{host}");
        }
        let host = ("host", "localhost:8080");
        assert_eq!(status(&guard, "/", &[]), 403);
        assert_eq!(status(&guard, "/", &[host, host]), 403);
        assert_eq!(status(&guard, "/", &[host, ("origin", "http://localhost:8080")]), 200);
        for origin in ["http://evil.example", "null", "https://localhost:8080"] {
            assert_eq!(status(&guard, "/", &[host, ("origin", origin)]), 403, "{origin}");
        }
        let elsewhere = ("sec-fetch-site", "cross-site");
        assert_eq!(status(&guard, "/api/face", &[host, elsewhere]), 403);
        // A link to the page may stand anywhere.
        assert_eq!(status(&guard, "/", &[host, elsewhere]), 200);
        Ok(())
    }

    #[test]
    fn beyond_this_machine_the_token_is_needed() -> Result<()> {
        let guard = Guard::new("0.0.0.0:8080".parse()?)?;
        let token = guard.token().unwrap_or_default().to_owned();
        assert_eq!(token.len(), 32);
        let host = ("host", "192.168.0.7:8080");
        assert_eq!(status(&guard, "/", &[host]), 403);
        assert_eq!(status(&guard, "/?token=0", &[host]), 403);
        let link = format!("/?token={token}");
        assert_eq!(status(&guard, &link, &[host]), 200);
        assert_eq!(status(&guard, &link, &[("host", "evil.example:8080")]), 403);
        let cookie = guard.cookie(&link.parse()?).unwrap_or_default();
        assert_eq!(status(&guard, "/api/face", &[host, ("cookie", &cookie)]), 200);
        assert!(guard.cookie(&"/?token=1".parse()?).is_none());
        Ok(())
    }

    #[test]
    fn behind_a_proxy_its_name_is_asked_and_the_token_is_needed() -> Result<()> {
        let public = "https://study.example.org".parse().map_err(anyhow::Error::msg)?;
        let guard = Guard::with("127.0.0.1:8080".parse()?, Some(public), Some("t0".into()))?;
        assert_eq!(guard.link(), "https://study.example.org/?token=t0");
        let host = ("host", "study.example.org");
        let origin = ("origin", "https://study.example.org");
        assert_eq!(status(&guard, "/?token=t0", &[host, origin]), 200);
        assert_eq!(status(&guard, "/", &[host]), 403);
        assert_eq!(status(&guard, "/?token=t0", &[("host", "evil.example")]), 403);
        for other in ["http://study.example.org", "https://evil.example", "https://example.org"] {
            assert_eq!(status(&guard, "/?token=t0", &[host, ("origin", other)]), 403, "{other}");
        }
        let cookie = guard.cookie(&"/?token=t0".parse()?).unwrap_or_default();
        assert!(cookie.ends_with("; Secure"), "{cookie}");
        Ok(())
    }
}

//! What the model must accept, and above all what it must not.

use kevy::command::table::TABLE;

use super::*;

/// A model that is shown replies written as RESP with `/` for line ends.
struct Judge {
    model: Model,
    now: Millis,
}

fn judge_of_resp2() -> Judge {
    Judge { model: Model::new(16), now: 1_000_000 }
}

fn words(line: &str) -> Vec<Bytes> {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

fn frame(resp: &str) -> Frame {
    let bytes = resp.replace('/', "\r\n");
    Frame::decode(bytes.as_bytes()).expect("valid RESP").expect("a whole frame").0
}

impl Judge {
    fn request(&self, conn: usize, line: &str) -> Request {
        Request { conn, now: self.now, argv: words(line) }
    }

    fn frames(&self, conn: usize, line: &str) -> usize {
        self.model.frames(&self.request(conn, line))
    }

    /// The reply is right; what is delivered then, printed.
    fn right(&mut self, conn: usize, line: &str, reply: &str) -> Vec<String> {
        let frame = Some(reply).filter(|reply| !reply.is_empty()).map(frame);
        assert_eq!(self.frames(conn, line) > 0, frame.is_some(), "{line}");
        let step = self.model.step(&self.request(conn, line), frame.as_ref());
        shown(step.unwrap_or_else(|d| panic!("{line}: wanted {} got {}", d.wanted, d.got)))
    }

    /// The reply is wrong. The model goes on as if it had not been given.
    fn wrong(&mut self, conn: usize, line: &str, reply: &str) {
        let result = self.model.clone().step(&self.request(conn, line), Some(&frame(reply)));
        assert!(result.is_err(), "{line}: {reply} was accepted");
    }

    fn advance(&mut self, millis: Millis) -> Vec<String> {
        self.now += millis;
        shown(self.model.advance(self.now))
    }
}

fn shown(step: Step) -> Vec<String> {
    let frames = step.deliveries.into_iter().flat_map(|delivery| {
        delivery.frames.into_iter().map(move |frame| format!("{}> {frame:?}", delivery.conn))
    });
    frames.collect()
}

#[test]
fn replies_are_judged_to_the_byte() {
    let mut j = judge_of_resp2();
    j.wrong(0, "SET k v", ":1/");
    j.wrong(0, "SET k v", "+ok/");
    j.right(0, "SET k v", "+OK/");
    j.right(0, "GET k", "$1/v/");
    j.wrong(0, "GET k", "+v/");
    j.wrong(0, "GET nokey", "*-1/");
    j.wrong(0, "INCR k", "-ERR value is not an integer/");
    j.right(0, "INCR k", "-ERR value is not an integer or out of range/");
    j.right(0, "NOSUCH a", "-ERR unknown command 'NOSUCH', with args beginning with: 'a' /");
}

#[test]
fn clients_are_served_longest_waiting_first_from_their_leftmost_key() {
    let mut j = judge_of_resp2();
    j.right(1, "BLPOP a b 0", "");
    j.right(2, "BRPOP a 0", "");
    j.right(0, "MULTI", "+OK/");
    j.right(0, "RPUSH b x", "+QUEUED/");
    j.right(0, "RPUSH a 1 2 3", "+QUEUED/");
    assert_eq!(j.right(0, "EXEC", "*2/:1/:3/"), ["1> [\"a\", \"1\"]", "2> [\"a\", \"3\"]"]);
    j.right(0, "LRANGE a 0 -1", "*1/$1/2/");
    j.right(0, "LLEN b", ":1/");
}

#[test]
fn what_a_served_client_adds_serves_the_next() {
    let mut j = judge_of_resp2();
    j.right(1, "BLPOP b 0", "");
    j.right(2, "BLMOVE a b LEFT LEFT 0", "");
    assert_eq!(j.right(0, "RPUSH a x", ":1/"), ["2> \"x\"", "1> [\"b\", \"x\"]"]);
}

#[test]
fn waiting_ends_with_the_time_or_by_another_client() {
    let mut j = judge_of_resp2();
    j.right(1, "CLIENT ID", ":7/");
    j.right(1, "BLPOP a 0.5", "");
    assert!(j.advance(499).is_empty());
    assert_eq!(j.advance(1), ["1> nil array"]);
    j.right(1, "BLPOP a 0", "");
    assert_eq!(
        j.right(0, "CLIENT UNBLOCK 7 ERROR", ":1/"),
        ["1> -UNBLOCKED client unblocked via CLIENT UNBLOCK"]
    );
    assert!(j.right(0, "RPUSH a x", ":1/").is_empty());
}

#[test]
fn numbers_of_frames_are_known_beforehand() {
    let mut j = judge_of_resp2();
    assert_eq!(j.frames(0, "SUBSCRIBE a b c"), 3);
    assert_eq!(j.frames(0, "UNSUBSCRIBE"), 1);
    assert_eq!(j.frames(0, "BLPOP a 0"), 0);
    assert_eq!(j.frames(0, "BLPOP a x"), 1);
    j.right(1, "MULTI", "+OK/");
    assert_eq!(j.frames(1, "BLPOP a 0"), 1);
    j.right(1, "SUBSCRIBE a b", "+QUEUED/");
    assert_eq!(j.frames(1, "EXEC"), 2);
    j.right(2, "CLIENT REPLY OFF", "");
    assert_eq!(j.frames(2, "PING"), 0);
    assert_eq!(j.frames(2, "CLIENT REPLY ON"), 1);
}

#[test]
fn a_watched_key_written_or_expired_ends_the_transaction() {
    let mut j = judge_of_resp2();
    let transaction = |j: &mut Judge, between: &str, reply: &str| {
        j.right(0, "WATCH k", "+OK/");
        match between {
            "" => {}
            "wait" => drop(j.advance(100)),
            line => drop(j.model.step(&j.request(1, line), Some(&frame("+OK/")))),
        }
        j.right(0, "MULTI", "+OK/");
        j.right(0, "PING", "+QUEUED/");
        j.right(0, "EXEC", reply);
    };
    j.right(0, "SET k v PX 50", "+OK/");
    transaction(&mut j, "", "*1/+PONG/");
    transaction(&mut j, "wait", "*-1/");
    // Expired already when WATCH came.
    transaction(&mut j, "wait", "*1/+PONG/");
    transaction(&mut j, "SET k v", "*-1/");
    transaction(&mut j, "SET k v", "*-1/");
    transaction(&mut j, "SET other v", "*1/+PONG/");
}

#[test]
fn events_come_in_redis_order() {
    let mut j = judge_of_resp2();
    j.model.config.insert("notify-keyspace-events".into(), "EA".into());
    j.right(1, "PSUBSCRIBE *", "*3/$10/psubscribe/$1/*/:1/");
    j.right(0, "RPUSH a x", ":1/");
    let events = j.right(0, "LMOVE a b LEFT LEFT", "$1/x/");
    let names: Vec<&str> = events.iter().filter_map(|e| e.split("__:").nth(1)?.split('"').next()).collect();
    assert_eq!(names, ["lpush", "lpop", "del"]);
}

#[test]
fn scan_returns_what_was_there_throughout() {
    let mut j = judge_of_resp2();
    for key in ["a", "b", "c"] {
        j.right(0, &format!("SET {key} v"), "+OK/");
    }
    j.wrong(0, "SCAN 0", "*2/$1/0/*2/$1/a/$1/b/");
    j.wrong(0, "SCAN 0", "*2/$1/0/*4/$1/a/$1/b/$1/c/$1/d/");
    j.right(0, "SCAN 0", "*2/$1/9/*1/$1/a/");
    j.right(0, "SET d v", "+OK/");
    j.wrong(0, "SCAN 9", "*2/$1/0/*1/$1/b/");
    let mut later = Judge { model: j.model.clone(), now: j.now };
    later.right(0, "DEL c", ":1/");
    later.right(0, "SET c v", "+OK/");
    later.right(0, "SCAN 9", "*2/$1/0/*1/$1/b/");
    j.right(0, "SCAN 9", "*2/$1/0/*3/$1/b/$1/c/$1/a/");
}

#[test]
fn random_choices_must_be_possible_ones() {
    let mut j = judge_of_resp2();
    j.right(0, "MSET a 1 b 2", "+OK/");
    j.right(0, "RANDOMKEY", "$1/b/");
    j.wrong(0, "RANDOMKEY", "$1/c/");
    j.wrong(0, "RANDOMKEY", "$-1/");
}

#[test]
fn a_clock_of_its_own_gives_the_server_slack() {
    let mut j = judge_of_resp2();
    j.right(0, "SET k v PX 5000", "+OK/");
    j.wrong(0, "PTTL k", ":4990/");
    j.model.slack = 20;
    j.right(0, "PTTL k", ":4990/");
    j.wrong(0, "PTTL k", ":4970/");
    // Whether its clock has gone on since is open, and with it which of two deadlines is later.
    for it_is in [":0/", ":1/"] {
        j.right(0, "PEXPIRE k 5000 GT", it_is);
        j.right(0, "PEXPIRE k 5010 LT", it_is);
    }
    j.wrong(0, "PEXPIRE k 5000 GT", ":2/");
    j.wrong(0, "PEXPIRE k 6000 GT", ":0/");
    j.wrong(0, "PEXPIRE k 4000 GT", ":1/");
}

#[test]
fn sorted_sets_leave_open_what_depends_on_their_form_and_nothing_else() {
    let mut j = judge_of_resp2();
    j.wrong(0, "ZADD z 1 a 2 b 2 c", ":2/");
    j.right(0, "ZADD z 1 a 2 b 2 c", ":3/");
    j.right(0, "ZADD z -0 d", ":1/");
    for zero in ["$1/0/", "$2/-0/"] {
        j.right(0, "ZSCORE z d", zero);
    }
    j.wrong(0, "ZSCORE z a", "$2/-1/");
    j.wrong(0, "ZRANGE z 0 -1", "*4/$1/d/$1/a/$1/c/$1/b/");
    for part in ["*0/", "*1/$1/c/"] {
        j.right(0, "ZRANGEBYSCORE z 1 2 LIMIT -1 5", part);
    }
    j.wrong(0, "ZRANGEBYSCORE z 1 2 LIMIT -1 5", "*1/$1/b/");
    // The reply tells what was stored.
    j.right(0, "ZRANGESTORE to z 1 2 BYSCORE LIMIT -2 5", ":2/");
    j.wrong(0, "ZRANGE to 0 -1 WITHSCORES", "*0/");
    j.right(0, "ZRANGE to 0 -1 WITHSCORES", "*4/$1/b/$1/2/$1/c/$1/2/");
    j.right(0, "ZRANGEBYLEX to [b (c", "*1/$1/b/");
    j.wrong(0, "ZRANGEBYLEX to [b (c", "*2/$1/b/$1/c/");
    // Lexicographical ranges mean nothing where scores differ, but name members.
    j.right(0, "ZRANGEBYLEX z - +", "*1/$1/c/");
    j.wrong(0, "ZRANGEBYLEX z - +", "*1/$1/x/");
    j.wrong(0, "ZRANDMEMBER z 2 WITHSCORES", "*4/$1/a/$1/1/$1/b/$1/1/");
    j.right(0, "ZRANDMEMBER z 2 WITHSCORES", "*4/$1/a/$1/1/$1/b/$1/2/");
    j.wrong(0, "ZPOPMAX z", "*2/$1/b/$1/2/");
    j.right(0, "ZPOPMAX z", "*2/$1/c/$1/2/");
}

#[test]
fn sums_of_scores_are_made_from_the_smallest_set_up() {
    let mut j = judge_of_resp2();
    j.right(0, "ZADD large inf m 0 n", ":2/");
    j.right(0, "ZADD a -inf m", ":1/");
    j.right(0, "ZADD b inf m", ":1/");
    // Infinities that cancel out are 0, which then has another added to it.
    j.right(0, "ZINTER 3 large a b WITHSCORES", "*2/$1/m/$3/inf/");
    j.right(0, "ZUNIONSTORE t 2 a b", ":1/");
    j.right(0, "ZSCORE t m", "$1/0/");
    j.right(0, "ZUNIONSTORE t 1 none", ":0/");
    j.right(0, "EXISTS t", ":0/");
}

/// Rows of which nothing is said: the end of the server.
const UNSPECIFIED: [&str; 1] = ["shutdown"];

#[test]
fn unspecified_rows() {
    let unspecified = |command: &&Command| {
        let mut argv: Vec<Bytes> = command.name.split('|').map(Bytes::from).collect();
        argv.resize(command.arity.unsigned_abs() as usize, b"1".to_vec());
        let ask = Ask {
            id: command.id,
            argv: &argv,
            conn: 0,
            db: 0,
            now: 0,
            protocol: Protocol::Resp2,
            may_block: false,
            reply: None,
        };
        command.subcommand_count == 0
            && matches!(dispatch::rule(command.id)(&mut Model::new(16), &ask), Ok(Want::Unspecified))
    };
    let rows: Vec<&str> = TABLE.iter().filter(unspecified).map(|command| command.name).collect();
    assert_eq!(rows, UNSPECIFIED);
}

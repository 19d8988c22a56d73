//! Seeded bugs: faults that can be switched on, one at a time, to measure whether the tests would notice.
//!
//! A site reads `if bug!(Name) { the faulty way } else { the right way }`. In an ordinary build `bug!` is the constant
//! `false`, and nothing of the fault is compiled. Built with `--cfg kevy_bugs`, the fault chosen with `activate` is
//! on; the runner (`kevy-difftest bugs`) runs the layers of tests against each and reports which noticed it, and how
//! soon. The list below is the only list: the runner, the report and the sites all use it, and a fault without a site
//! is never noticed and so fails the run.

macro_rules! bugs {
    ($($(#[doc = $text:literal])+ $name:ident in $class:ident;)*) => {
        /// Every seeded bug, with what it does wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Bug { $($(#[doc = $text])+ $name,)* }

        impl Bug {
            pub const ALL: &[Bug] = &[$(Bug::$name,)*];

            pub fn name(self) -> &'static str {
                match self { $(Bug::$name => stringify!($name),)* }
            }

            pub fn class(self) -> Class {
                match self { $(Bug::$name => Class::$class,)* }
            }

            /// What it does wrong.
            pub fn story(self) -> &'static str {
                match self { $(Bug::$name => concat!($($text,)+).trim_ascii(),)* }
            }
        }
    };
}

/// The ways in which servers of this kind have gone wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Changes nothing that a client could see: if this is "noticed", the runner lies.
    Control,
    /// Breaks everything: if this is not noticed, nothing is tested.
    Canary,
    /// An option is accepted and ignored, or does something else.
    Option,
    /// The wrong error wins, or an error is missing or worded otherwise.
    Error,
    /// A deadline is kept, lost or computed wrongly.
    Deadline,
    /// Off by one, or a range taken wrongly.
    Range,
    /// A change of encoding loses or changes data, or happens at the wrong size.
    Encoding,
    /// An effect is not recorded, or recorded so that its replay differs.
    Propagation,
    /// WATCH misses a change, or a transaction runs when it must not.
    Watch,
    /// A keyspace event is missing, extra or misnamed.
    Event,
    /// A reply has the wrong shape.
    Shape,
    /// A value of another type is not refused.
    Type,
    /// Arithmetic overflows.
    Overflow,
    /// Blocked clients are served wrongly.
    Blocking,
    /// Messages go to the wrong clients.
    PubSub,
    /// Input is decoded wrongly.
    Protocol,
    /// A connection is, or becomes, something else than its client was told.
    Session,
    /// A limit on memory, output or time is not kept, or one is that should not be.
    Limit,
    /// Data is lost or misplaced in a structure.
    Structure,
    /// Several shards are not as one.
    Shards,
}

bugs! {
    /// The door executes every command as it should: nothing is wrong.
    Nothing in Control;
    /// The door answers OK whatever the command was.
    AlwaysOk in Canary;
    /// SET KEEPTTL ends the deadline.
    SetForgetsKeepTtl in Option;
    /// SET sets whatever NX and XX say.
    SetIgnoresCondition in Option;
    /// SCAN and its like return what MATCH would leave out.
    MatchIgnored in Option;
    /// SCAN TYPE returns keys of every type.
    ScanTypeIgnored in Option;
    /// COPY DB copies inside the selected database.
    CopyIgnoresDb in Option;
    /// RENAMENX replaces a key that is there.
    RenamenxReplaces in Option;
    /// EXPIRE GT also moves a deadline nearer.
    ExpireIgnoresGt in Option;
    /// EXPIRE GT gives a deadline to a key without one, which is later than all.
    GtGivesFirstDeadline in Option;
    /// LINSERT AFTER inserts before.
    LinsertAfterIsBefore in Option;
    /// LPOS MAXLEN compares with all elements.
    LposIgnoresMaxlen in Option;
    /// SINTERCARD LIMIT counts on.
    SintercardIgnoresLimit in Option;
    /// BITCOUNT takes a range in BIT for one in bytes.
    BitcountCountsBytes in Option;
    /// ZADD GT also lowers a score.
    ZaddIgnoresGt in Option;
    /// ZRANGE REV counts ranks from the lowest score.
    ZrangeRevByRankForward in Option;
    /// ZUNION gives every input the first WEIGHT.
    WeightsFirstForAll in Option;
    /// AGGREGATE MAX keeps the first score.
    AggregateMaxKeepsFirst in Option;
    /// LCS IDX returns matches shorter than MINMATCHLEN.
    LcsIgnoresMinimum in Option;
    /// SORT goes by its last BY alone, also after a constant one.
    SortByLastAlone in Option;
    /// LSET on a missing key complains of the index.
    LsetIndexFirst in Error;
    /// EXPIRE accepts GT with LT.
    GtWithLt in Error;
    /// A RESP2 subscriber may run any command.
    SubscriberRunsAll in Error;
    /// SSCAN and ZSCAN accept NOVALUES.
    NovaluesForAll in Error;
    /// SELECT 16 is accepted with 16 databases.
    SelectOneTooMany in Error;
    /// HGETDEL FIELDS 0 is told that the count does not match.
    ZeroFieldsAccepted in Error;
    /// Commands are run with too few arguments.
    ArityUnchecked in Error;
    /// AUTH accepts the password for every user name.
    AuthAnyUser in Error;
    /// CONFIG SET accepts a parameter that is named twice.
    ConfigSetTwice in Error;
    /// CONFIG SET changes what can only be set at the start.
    ImmutableSettable in Error;
    /// CONFIG SET that fails keeps the first of its changes.
    ConfigSetKeepsPart in Error;
    /// AUTH and HELLO are refused before a password was given.
    HelloNeedsPassword in Error;
    /// EXEC runs commands that memory does not suffice for.
    ExecBeyondMemory in Error;
    /// Commands that need memory are run without it.
    MemoryUnlimited in Error;
    /// SHUTDOWN is queued by MULTI.
    MultiAllowsAll in Error;
    /// WATCH is accepted inside MULTI.
    WatchInsideMulti in Error;
    /// The error of an unknown command repeats the name to its end.
    UnknownShownWhole in Error;
    /// CONFIG SET names a refused parameter as the client wrote it.
    RefusedNameAsWritten in Error;
    /// A plain SET keeps the deadline.
    SetKeepsDeadline in Deadline;
    /// EX and EXAT are taken for milliseconds.
    SecondsAsMillis in Deadline;
    /// Keys are seen for a second after their deadline.
    ExpiredKeysLive in Deadline;
    /// A result stored over a key keeps the deadline of what was there.
    StoreKeepsDeadline in Deadline;
    /// RENAME ends the deadline.
    RenameLosesDeadline in Deadline;
    /// COPY copies no deadline.
    CopyLosesDeadline in Deadline;
    /// KEYS returns keys that have expired.
    KeysShowsExpired in Deadline;
    /// DEBUG DIGEST-VALUE ends a key that has expired.
    DigestNoticesExpiry in Deadline;
    /// TTL rounds down.
    TtlTruncates in Deadline;
    /// GETRANGE ends a byte early.
    GetrangeShort in Range;
    /// MSETNX looks at the first key only.
    MsetnxLooksAtOne in Range;
    /// SETRANGE with nothing to write pads the string.
    SetrangeEmptyPads in Range;
    /// LREM with a negative count removes from the front.
    LremFromFront in Range;
    /// LTRIM keeps an element less.
    LtrimShort in Range;
    /// DEL counts keys that are not there.
    DelCountsMissing in Range;
    /// BITOP AND answers the length of the first string.
    BitopKeepsShortLength in Range;
    /// BITPOS finds a clear bit behind an end that was given.
    BitposBeyondEnd in Range;
    /// ( in a range of names includes the name.
    LexBoundsInclude in Range;
    /// ( in a range of scores includes the score.
    ScoreBoundsInclude in Range;
    /// A hash stays a listpack with a field too many.
    HashPackTooLong in Encoding;
    /// A hash stays a listpack with a value too long.
    HashPackValueTooLong in Encoding;
    /// The member that makes a set a hash table is lost.
    SetConversionLosesMember in Encoding;
    /// A set of integers stays an intset with one too many.
    IntsetTooLong in Encoding;
    /// A sorted set stays a listpack with a member too many.
    ZsetPackTooLong in Encoding;
    /// SET EX is replayed with the time as it was given.
    RelativeTimeReplayed in Propagation;
    /// ZRANGESTORE with an offset is recorded as sent.
    RangeStoreReplayedAsSent in Propagation;
    /// The deadline that GETEX gives is not replayed.
    GetexNotReplayed in Propagation;
    /// INCRBYFLOAT is replayed as a SET that ends the deadline.
    IncrbyfloatReplayEndsDeadline in Propagation;
    /// That a key expired is not replayed.
    ExpiryNotReplayed in Propagation;
    /// EXPIRE is not replayed.
    ExpireNotReplayed in Propagation;
    /// SPOP is replayed as a new choice.
    SpopReplayedAsSent in Propagation;
    /// HGETDEL is replayed for its first field only.
    HgetdelReplaysOneField in Propagation;
    /// What BLMOVE moved is not replayed.
    BlmoveNotReplayed in Propagation;
    /// What BLPOP popped is not replayed.
    BlpopNotReplayed in Propagation;
    /// ZMPOP MAX is replayed as ZPOPMIN.
    ZmpopReplaysOtherEnd in Propagation;
    /// A BITFIELD that only lengthens the string is not replayed.
    BitfieldGrowthNotReplayed in Propagation;
    /// A watched key that expires does not stop EXEC.
    ExpiryUnwatched in Watch;
    /// That a key goes which had expired before WATCH stops EXEC.
    ExpiryTouches in Watch;
    /// Storing nothing at a key that had expired before WATCH stops EXEC.
    ExpiredTargetTouched in Watch;
    /// A key that had expired before WATCH counts as one that has expired since.
    ExpiredCountsAsWatched in Watch;
    /// FLUSHALL stops the EXEC of who watches a key that had expired before.
    FlushedExpiredCounts in Watch;
    /// Changes in databases other than 0 do not stop EXEC.
    OtherDatabasesUnwatched in Watch;
    /// EXEC runs although a watched key has changed.
    ExecIgnoresWatch in Watch;
    /// EXEC runs although a command was refused.
    ExecRunsRefused in Watch;
    /// DISCARD leaves the keys watched.
    DiscardKeepsWatching in Watch;
    /// RENAME to a watched key does not stop EXEC.
    RenameUnwatchedAtTarget in Watch;
    /// EXEC forgets that a command was refused before it was queued.
    RefusalsForgotten in Watch;
    /// An EXEC with too many arguments leaves the transaction open.
    RefusedExecGoesOn in Watch;
    /// UNWATCH inside MULTI runs at once.
    UnwatchNotQueued in Watch;
    /// GETDEL publishes `getdel`.
    GetdelEventMisnamed in Event;
    /// A key that expires publishes `del`.
    ExpiredEventMisnamed in Event;
    /// A new key publishes no `new`.
    NewEventMissing in Event;
    /// A collection that became empty publishes no `del`.
    EmptiedEventMissing in Event;
    /// SWAPDB serves the clients of the database with the lower number first.
    SwappedByNumber in Event;
    /// RPUSH publishes `lpush`.
    RpushEventMisnamed in Event;
    /// Events are published for database 0 whatever the database.
    EventsOfDatabase0 in Event;
    /// Events are published by key although only those by event are asked for.
    KeyspaceAlwaysPublished in Event;
    /// Events are not published by event.
    KeyeventSilent in Event;
    /// CONFIG GET spells out the classes of events that A stands for.
    EventClassesSpelled in Event;
    /// A stands for the class of new keys too.
    AllClassesWithNew in Event;
    /// Eviction publishes no event.
    EvictionSilent in Event;
    /// HGETALL answers an array in RESP3.
    HgetallFlat in Shape;
    /// CLIENT LIST shows what follows a zero byte in a name.
    ClientNamesInFull in Shape;
    /// LPOP with a count answers an empty array for a missing key.
    LpopMissingEmpty in Shape;
    /// BLMOVE whose time is up answers a null instead of a null array.
    BlockedTimeoutNull in Shape;
    /// Messages are arrays in RESP3.
    PushesAsArrays in Shape;
    /// ZRANK WITHSCORE of a missing member answers a plain null.
    ZrankNullPlain in Shape;
    /// EXEC leaves out the first command but not its place.
    ExecSkipsFirst in Shape;
    /// SET GET answers a null for another type and goes on.
    SetGetAnyType in Type;
    /// Sets are combined with keys of other types as if those were missing.
    SourcesOfAnyType in Type;
    /// SISMEMBER answers 0 for another type.
    SismemberAnyType in Type;
    /// LMOVE looks at the type of the destination only after it has popped.
    LmoveOverwritesType in Type;
    /// INCRBY wraps around.
    IncrWraps in Overflow;
    /// DECRBY of the lowest number there is is accepted.
    DecrbyWraps in Overflow;
    /// HINCRBY wraps around.
    HincrbyWraps in Overflow;
    /// BITFIELD OVERFLOW SAT wraps around.
    SaturationWraps in Overflow;
    /// BITFIELD OVERFLOW FAIL saturates.
    FailSaturates in Overflow;
    /// A sorted set that appears wakes nobody.
    NewZsetsWakeNobody in Blocking;
    /// Who came last is served first.
    NewestServedFirst in Blocking;
    /// A key is offered to who waits for what it holds in the end, whatever made it ready.
    AnyTypeIsOffered in Blocking;
    /// A client waits for the first of its keys only.
    SecondKeyForgotten in Blocking;
    /// Time does not run out for blocked clients.
    TimeoutForgotten in Blocking;
    /// A client that waits is served after it has closed its connection.
    ClosedClientsWait in Blocking;
    /// What a client sent behind a command that waited is not executed.
    ServedNotResumed in Blocking;
    /// A command in a transaction waits.
    ExecBlocks in Blocking;
    /// Only one matching pattern gets a message.
    OnePatternOnly in PubSub;
    /// PUBLISH does not count receivers by pattern.
    PublishCountsChannels in PubSub;
    /// Messages go on after UNSUBSCRIBE.
    UnsubscribedStillServed in PubSub;
    /// Subscriptions outlive their connection.
    ClosedStillSubscribed in PubSub;
    /// SPUBLISH reaches subscribers of channels.
    ShardChannelsMixed in PubSub;
    /// `[^a]` in a pattern is `[a]`.
    NegatedClassIgnored in PubSub;
    /// Sharded channels are confirmed with the number of other subscriptions.
    ShardSubscriptionsCounted in PubSub;
    /// PUBSUB SHARDNUMSUB counts subscribers of channels.
    ShardNumsubOfChannels in PubSub;
    /// PUBSUB NUMPAT counts a pattern for each of its subscribers.
    NumpatCountsClients in PubSub;
    /// PUBSUB CHANNELS answers channels that do not match.
    ChannelsIgnorePattern in PubSub;
    /// After a cut inside an argument the next one is looked for a byte too early.
    CutArgumentMisread in Protocol;
    /// What follows a command that waits is dropped from the buffer.
    QueueBehindWaitLost in Protocol;
    /// A request begun behind a command that waits is decoded as if it had been read.
    StaleDecoder in Protocol;
    /// Of commands sent together only the first of each sixteen is answered.
    PipelineOfOne in Protocol;
    /// A connection that broke the protocol stays open.
    ProtocolErrorsForgiven in Protocol;
    /// Who has not given the password may send requests of any size.
    StrangersMaySendMuch in Protocol;
    /// A connection that sent POST or Host: stays open.
    BrowsersServed in Protocol;
    /// HELLO switches the protocol although its password is wrong.
    HelloSwitchesFirst in Session;
    /// HELLO selects database 0.
    HelloForgetsDatabase in Session;
    /// RESET leaves the database selected.
    ResetKeepsDatabase in Session;
    /// RESET does not ask for the password again.
    ResetKeepsAuthentication in Session;
    /// QUIT does not close the connection.
    QuitGoesOn in Session;
    /// CLIENT KILL TYPE closes clients of every type.
    KillIgnoresType in Session;
    /// CLIENT KILL MAXAGE closes clients of every age.
    KillIgnoresAge in Session;
    /// CLIENT KILL LADDR closes clients of every address.
    KillIgnoresLocalAddress in Session;
    /// CLIENT KILL SKIPME no skips the caller.
    KillAlwaysSkipsItself in Session;
    /// SCAN removes expired keys that MATCH leaves out.
    ScanRemovesAllExpired in Deadline;
    /// MEMORY USAGE removes a key that has expired.
    UsageNoticesExpiry in Deadline;
    /// Many messages to oneself come before the reply to the command that caused them.
    LongMessagesFirst in PubSub;
    /// EXEC executes SSUBSCRIBE.
    ExecSubscribesToShards in PubSub;
    /// A monitor is not shown an EXEC that is refused.
    RefusedExecUnshown in Session;
    /// COMMAND GETKEYS takes no count that only begins with a number.
    KeysCountedStrictly in Session;
    /// A command inside EXEC finds its own client in no transaction.
    ExecShownEnded in Session;
    /// EXEC answers as CLIENT REPLY says at its end.
    ExecAnswersAtItsEnd in Session;
    /// Commands of EXEC are answered that come after a client killed itself.
    ExecAnswersTheKilled in Session;
    /// Clients that were held back by CLIENT PAUSE do not go on in the order of their commands.
    PausedGoOnBySlot in Session;
    /// CLIENT REPLY SKIP ends CLIENT REPLY OFF.
    SkipEndsOff in Session;
    /// CLIENT REPLY SKIP does not reach the reply to a client that has waited.
    SkipForgottenWhileWaiting in Session;
    /// CLIENT UNBLOCK ERROR answers as if the time were up.
    UnblockErrorIsTimeout in Session;
    /// A second CLIENT PAUSE shortens the first.
    PauseShortens in Session;
    /// Who waits is served what was pushed by the transaction that paused clients.
    PauseLetsServe in Session;
    /// CLIENT PAUSE WRITE lets EXEC write.
    PauseMissesExec in Session;
    /// RESET is answered although CLIENT REPLY SKIP came before it.
    ResetAnsweredThoughSkipped in Session;
    /// Monitors are shown what is done although they have switched replies off.
    MonitorsHearAll in Session;
    /// Keys expire during CLIENT PAUSE.
    PauseExpires in Session;
    /// Keys are evicted during CLIENT PAUSE.
    PauseEvicts in Session;
    /// DEBUG ends keys that have expired during CLIENT PAUSE.
    DebugOverlooksPause in Session;
    /// Expired keys that stay for CLIENT PAUSE are answered with.
    PauseShowsExpired in Session;
    /// Who was held back by CLIENT PAUSE is not let go when it ends.
    PauseNeverEnds in Session;
    /// Idle subscribers are closed.
    IdleSubscribersClosed in Session;
    /// Idle clients are not closed.
    IdleClientsStay in Session;
    /// A volatile policy of eviction takes keys without a deadline.
    EvictionTakesAll in Limit;
    /// The output of subscribers is limited as that of normal clients.
    SubscribersLimitedAsNormal in Limit;
    /// The hard limit of output is not kept.
    OutputUnlimited in Limit;
    /// The soft limit of output is kept at once.
    SoftLimitAtOnce in Limit;
    /// A kilobyte of the configuration has 1000 bytes.
    KilobytesDecimal in Limit;
    /// A megabyte of the configuration has 1000000 bytes.
    MegabytesDecimal in Limit;
    /// Active expiry looks at one database only.
    ExpiryInFirstDatabase in Limit;
    /// The table does not notice a deadline that SET gives to a key that is there.
    DeadlineUncounted in Structure;
    /// HSETNX overwrites the value and says that it did not.
    HsetnxOverwrites in Structure;
    /// SDIFF does not subtract the largest set.
    SdiffForgetsLast in Structure;
    /// LMOVE puts the element where it took it from.
    LmoveSameEnd in Structure;
    /// ZPOPMAX answers what it takes in ascending order.
    ZpopmaxAscends in Structure;
    /// A collection that became empty stays.
    EmptyCollectionsStay in Structure;
    /// SWAPDB swaps nothing.
    SwapdbOnlyAnswers in Structure;
    /// Who appends to the order tells nobody.
    AppendNotifiesNobody in Shards;
    /// Who appends to the order tells one of the shards that are named.
    AppendNotifiesOne in Shards;
    /// Who finds the order full notifies the laggards again and again, box in hand.
    FullOrderIsWaitedFor in Shards;
    /// Who finds the order full tells nobody who is behind.
    LaggardsStay in Shards;
    /// What is to be told to other shards is dropped while the order is full.
    MessagesLostWhenFull in Shards;
    /// A box goes into a gather before others know what it has appended.
    GatherBeforeNotice in Shards;
    /// The boxes of a gather are put without looking what came meanwhile.
    GatherLeavesUnsynced in Shards;
    /// A visited box is left without having followed what was appended by it.
    LeftBehind in Shards;
    /// A visited box is left although its thread has something to do for it.
    LeftWithWork in Shards;
    /// A box is handed to its owner without waking him.
    HandedSilently in Shards;
    /// One box alone moves past a gather.
    GatherPassedByOne in Shards;
    /// What is sent in a transaction that cannot be executed any more is kept.
    DoomedStillQueue in Session;
    /// A command is executed where those are not who hear of it: they are told afterwards.
    HearersNotNeeded in Shards;
    /// Who began to listen is told of what was done before, too.
    ToldAfterwards in Shards;
    /// Who begins to listen relies on that it was announced for somebody else, who still waits.
    SecondListenerUnannounced in Shards;
    /// Who begins to listen does not wait until everybody knows.
    ListensUnannounced in Shards;
    /// Keyspace events reach the connections of one box.
    GuestsHearNothing in Shards;
    /// Who begins or ceases to hear of keyspace events does so where its connection is alone.
    ListensAlone in Shards;
    /// Who listens is answered from another box ahead of what it is still to hear.
    ListenersVisit in Shards;
    /// A call for a wait that is over serves the connection's next one.
    CallsOutliveWaits in Shards;
    /// What a command in parts has counted is what its first part has.
    OnePartCounts in Shards;
    /// The elements of a reply in parts come part by part.
    ElementsByPart in Shards;
    /// A pipeline runs by parts although keyspace events are heard.
    EventsByPart in Shards;
    /// Who waits for what a gather did is called after its boxes are free.
    ServedAfterGather in Shards;
    /// Nobody appends that time has passed.
    TimeStandsStill in Shards;
    /// Who completes a batch does not tell its connection's shard.
    BatchDoneUntold in Shards;
    /// A wait that is over is not forgotten by other shards.
    UnwaitIgnored in Shards;
    /// A stay takes in boxes wherever they stand in the order.
    StaysAnywhere in Shards;
    /// A stay happens although somebody hears of its commands.
    StayersAreHeard in Shards;
    /// A pause ends a millisecond early.
    PauseEndsEarly in Shards;
    /// Boxes that were visited are not given back when everything that was received has been executed.
    StayOutlastsTurn in Shards;
    /// Only the box that has called waits until that is done.
    DebtsOfOthersIgnored in Shards;
    /// Keys of several shards that became ready are offered shard by shard.
    ReadyByShard in Shards;
    /// A connection goes on at its own box's place after a visit that was ahead of it.
    VisitUnseen in Shards;
    /// A connection goes on at its own box's place whatever it has seen.
    SeenIgnored in Shards;
    /// The time of entries is not adopted.
    EntryTimeIgnored in Shards;
    /// Commands run at the time of the thread that executes them.
    TimeOfExecutor in Shards;
    /// A guest goes home without its keyspace.
    GuestKeptKeyspace in Shards;
    /// A visitor does not follow the order before it executes.
    VisitedUnsynced in Shards;
    /// A command that had to wait for room is not tried again.
    StalledForGood in Shards;
    /// CLIENT KILL takes away what its victim was sent before on another shard.
    KilledUnheard in Shards;
    /// Who is held back again while others are let go belongs to the rest of them, for ever.
    HeldAgainGoOn in Shards;
    /// A command is executed without the boxes of those whom it serves, and these are called.
    NobodyForeseen in Shards;
    /// Who stands behind somebody of another shard is not offered what he leaves.
    OthersNotOffered in Shards;
    /// That there is a call is not noted.
    CallsAreNoDebts in Shards;
    /// Commands run before a call.
    DebtsIgnored in Shards;
    /// Keys of other shards stay watched.
    WatchedElsewhereForEver in Shards;
    /// Claims of a wait that is over stay with other shards.
    ClaimsElsewhereForEver in Shards;
    /// A pipeline inside MULTI is executed as a batch.
    BatchInTransaction in Shards;
    /// The last command of a batch is answered and not executed.
    PartSkipsLast in Shards;
    /// A batch's part is executed twice.
    PartRunsTwice in Shards;
    /// A complete batch is not counted.
    BatchUncounted in Shards;
    /// A command of a batch gets the reply of the one before it.
    ReplySlotOff in Shards;
    /// A batch's replies come part by part.
    RepliesByPart in Shards;
    /// A client that waits on other shards claims its first key only.
    OneClaimOfSeveral in Shards;
    /// What happens to watched keys of other shards is not recorded.
    GuestsUnwatched in Shards;
    /// Other shards' waiters and watchers are not told what was done there.
    GuestsUntold in Shards;
    /// Who waits from another shard is not served.
    ClaimsUnserved in Shards;
    /// What became ready with keys of other shards is offered without those.
    CallsOfOthersIgnored in Shards;
    /// One claim of somebody who was served stays.
    OneClaimStays in Shards;
    /// Keys that are called for are not offered when the call comes, but wait for another.
    CalledForEver in Shards;
    /// DBSIZE counts the keys of one shard.
    OwnSliceCounted in Shards;
    /// FLUSHALL empties one shard.
    OwnSliceFlushed in Shards;
    /// EXEC does without the boxes of the watched keys.
    WatchedUngathered in Shards;
    /// PUBLISH reaches the subscribers of its connection's shard.
    PublishedToOwnOnly in Shards;
    /// A thread that waits for its box does not say so.
    AwaitedUnmarked in Shards;
    /// What a client had in the order is executed after it was killed.
    KilledGoOn in Shards;
    /// A command that has all boxes of a call is executed before that.
    CallsComeLater in Shards;
    /// A command that needs a further position leaves out who has begun to listen since its first.
    AgainUnheard in Shards;
    /// Who waits away does not count any more where he stands, as soon as his own shard has given the wait up.
    ClaimsUncounted in Shards;
    /// A step of SCAN ends with the keys of a shard, however few they were.
    ScanEndsWithSlice in Shards;
    /// SCAN goes on into the own slice from one that stands elsewhere in the order.
    ScanVisits in Shards;
    /// CLIENT KILL does not find who has left and has a command in the order.
    LeftUnkillable in Shards;
    /// A command at its second position is not held back by a pause that has come before it.
    PausesOvertake in Shards;
    /// What CLIENT PAUSE has held back on several shards goes on shard by shard.
    LetGoByShard in Shards;
    /// Between the end of a pause and what it has held back, other commands come.
    HeldAreOvertaken in Shards;
    /// What was held back goes on though a command before it needs a further position.
    LetGoPastPositions in Shards;
    /// A CLIENT UNPAUSE that was held back lets go nobody before it.
    UnpausedStayHeld in Shards;
    /// What could not be let go at once is forgotten.
    RestIsNotLetGo in Shards;
    /// From a client that has sent faster than could be executed nothing is received any more.
    InputHeldForGood in Shards;
    /// CLIENT PAUSE is answered before what others had in the order is executed.
    PauseOverlooksEntries in Shards;
    /// A thread that waits for its box sleeps without a last look.
    SleptWithoutLook in Shards;
    /// An owner puts his box home whatever came for it.
    PutUnseen in Shards;
    /// A visitor puts a box home whatever came for it.
    LeftUnseen in Shards;
    /// Who notifies a box that is in a hand leaves no mark.
    NoticeLost in Shards;
    /// An append returns before its entry can be seen.
    AppendUncovered in Shards;
    /// A key that had expired before WATCH counts as modified when it is evicted.
    ExpiredEvictedIsModified in Shards;
    /// A pipeline is executed as a batch though memory is short.
    BatchBeyondMemory in Shards;
    /// What is refused for want of memory is executed all the same.
    RefusedIsExecuted in Shards;
    /// Who waited and is refused for want of memory gets no answer.
    RefusedWaiterUnanswered in Shards;
    /// Whoever has evicted a key of another shard puts its box down whatever came for it.
    EvictorLeavesUnsynced in Shards;
}

#[cfg(kevy_bugs)]
mod switch {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::Bug;

    static ACTIVE: AtomicU32 = AtomicU32::new(u32::MAX);

    /// Switches one bug on and all others off.
    pub fn activate(bug: Option<Bug>) {
        ACTIVE.store(bug.map_or(u32::MAX, |bug| bug as u32), Ordering::Relaxed);
    }

    #[inline]
    pub fn active(bug: Bug) -> bool {
        ACTIVE.load(Ordering::Relaxed) == bug as u32
    }
}

#[cfg(kevy_bugs)]
pub use switch::{activate, active};

/// Whether a seeded bug is switched on; see the module [`bugs`](crate::bugs).
#[cfg(kevy_bugs)]
#[macro_export]
macro_rules! bug {
    ($name:ident) => {
        $crate::bugs::active($crate::bugs::Bug::$name)
    };
}

/// Whether a seeded bug is switched on; see the module [`bugs`](crate::bugs).
#[cfg(not(kevy_bugs))]
#[macro_export]
macro_rules! bug {
    ($name:ident) => {{
        const _: $crate::bugs::Bug = $crate::bugs::Bug::$name;
        false
    }};
}
